/** The same handlers as sidework tasks. */
import { defineTask } from 'sidework'
import { burn as burnCore } from './burn.mjs'

export const noop = defineTask('noop', () => {})

export const answer = defineTask('answer', ({ n }) => n)

/** Its result is dropped, as nobody asks for it: the pools' is sent back, which costs them nothing to speak of. */
export const burn = defineTask('burn', (payload) => {
  burnCore(payload)
})
