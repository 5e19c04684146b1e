/** The same two handlers as sidework tasks. */
import { defineTask } from 'sidework'

export const noop = defineTask('noop', () => {})

export const answer = defineTask('answer', ({ n }) => n)
