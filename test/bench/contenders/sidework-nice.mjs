/** sidework with its threads at their default niceness. */
import { startSidework } from './sidework.mjs'

export function start(threads, mode) {
  return startSidework({ cpu: threads }, mode)
}
