import { setTimeout } from 'node:timers/promises'
import { defineTask } from 'sidework'

/** Takes its time and minds no signal. */
export const sleep = defineTask('sleep', ({ forMs }) => setTimeout(forMs, forMs), { lane: 'io' })
