/** The same handlers for the pools and the bare threads. */
export { burn } from './burn.mjs'

export function noop() {}

export function answer({ n }) {
  return n
}

/** Which handler a mode of a benchmark calls. */
export const handlerOf = { 'fire-and-forget': 'noop', awaited: 'answer', burning: 'burn' }
