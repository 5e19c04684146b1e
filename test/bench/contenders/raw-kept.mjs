/**
 * The bare batches of raw.mjs with the least that a queue must do for its jobs: the payload as it was at the call, as
 * text, and a record per job that somebody can look at, settled, and kept among the last 1,000. No checks, ids, retries,
 * limits, order, events or timeouts. What it costs beside `raw` is what nobody can save.
 */
import { start as startBatches } from './raw.mjs'

const keptJobs = 1_000

/** @param pace `mostInBatch` of raw.mjs, if there is less to a batch than that */
export function start(threads, mode, pace = {}) {
  const history = new Array(keptJobs)
  let accepted = 0
  let settled = 0
  return startBatches(threads, mode, {
    keep: (payload) => new Record(++accepted, JSON.stringify(payload)),
    pack: (records) => `[${records.map(({ json }) => json).join(',')}]`,
    settle(records) {
      const now = performance.now()
      for (const record of records) {
        record.state = 'completed'
        record.settledAt = now
        history[settled++ % keptJobs] = record
      }
    },
    ...pace,
  })
}

class Record {
  state = 'ready'
  attempt = 0
  settledAt = -1

  constructor(number, json) {
    this.number = number
    this.json = json
  }
}
