/**
 * raw-kept.mjs with batches of a millisecond of work, as an urgent job must not wait for longer behind what was sent before it:
 * long jobs travel alone, two of them per thread.
 */
import { roundsPerMicrosecond } from '../burn-rate.mjs'
import { start as startKept } from './raw-kept.mjs'

const mostInBatch = 256

export function start(threads, mode) {
  const roundsPerMs = 1_000 * roundsPerMicrosecond()
  const jobsOf = ({ rounds }) => Math.min(Math.max(Math.round(roundsPerMs / rounds), 1), mostInBatch)
  return startKept(threads, mode, { mostInBatch: jobsOf })
}
