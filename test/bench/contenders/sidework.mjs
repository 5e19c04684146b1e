/** sidework with its defaults, but with threads as nice as the peers' and without a logger, which the peers lack. */
import { createScheduler } from 'sidework'
import { awaitEach, offerInTurns, perTurn } from '../load.mjs'
import { answer, burn, noop } from '../tasks/noop.mjs'

const tasks = new URL('../tasks/noop.mjs', import.meta.url)
const taskOf = { 'fire-and-forget': noop, awaited: answer, burning: burn }

export function start(threads, mode) {
  return startSidework({ cpu: threads, nice: 0 }, mode)
}

export async function startSidework(threads, mode) {
  const scheduler = createScheduler({ tasks, threads, logger: false })
  await scheduler.ready()
  const task = taskOf[mode]
  const ask = (payload) => scheduler.defer(task, payload).result()
  return {
    run: (count, makePayload) =>
      mode === 'awaited' ? awaitEach(count, ask) : deferAll(scheduler, count, task, makePayload),
    ask,
    offer: (payload) => void scheduler.defer(task, payload),
    done: () => scheduler.stats().completed,
    close: () => scheduler.close(),
  }
}

/** Defers `count` jobs and waits until all have completed. */
export async function deferAll(scheduler, count, task = noop, makePayload = undefined) {
  const progress = new Progress()
  await offerInTurns(
    count,
    (payload) => (progress.newest = scheduler.defer(task, payload)),
    () => progress.outstanding(),
    makePayload,
  )
  await scheduler.idle()
  const unhappy = [...scheduler.jobs({ state: 'retrying' }), ...scheduler.jobs({ state: 'failed' })]
  if (unhappy.length > 0)
    throw new Error(`${task.name} jobs failed, the first with: ${unhappy[0].errors[0]?.error.message}`)
}

/** Knows about how many jobs are unsettled by looking at the last job of each turn: nothing is paid per job. */
class Progress {
  newest
  #lastOfTurn = []

  outstanding() {
    if (this.newest !== undefined && this.newest !== this.#lastOfTurn.at(-1))
      this.#lastOfTurn.push(this.newest)
    while (this.#lastOfTurn[0]?.state === 'completed') this.#lastOfTurn.shift()
    return this.#lastOfTurn.length * perTurn
  }
}
