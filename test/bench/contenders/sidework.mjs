/** sidework with its defaults, but with threads as nice as the peers' and without a logger, which the peers lack. */
import { createScheduler } from 'sidework'
import { awaitEach, offerInTurns, perTurn } from '../load.mjs'
import { answer, noop } from '../tasks/noop.mjs'

const tasks = new URL('../tasks/noop.mjs', import.meta.url)

export async function start(threads, mode) {
  const scheduler = createScheduler({ tasks, threads: { cpu: threads, nice: 0 }, logger: false })
  await scheduler.ready()
  return {
    run: (count) => (mode === 'awaited' ? awaitEach(count, ask) : deferAll(scheduler, count)),
    close: () => scheduler.close(),
  }

  function ask(payload) {
    return scheduler.defer(answer, payload).result()
  }
}

/** Defers `count` no-op jobs and waits until all have completed. */
export async function deferAll(scheduler, count) {
  const progress = new Progress()
  await offerInTurns(
    count,
    (payload) => (progress.newest = scheduler.defer(noop, payload)),
    () => progress.outstanding(),
  )
  await scheduler.idle()
  const unhappy = [...scheduler.jobs({ state: 'retrying' }), ...scheduler.jobs({ state: 'failed' })]
  if (unhappy.length > 0)
    throw new Error(`No-op jobs failed, the first with: ${unhappy[0].errors[0]?.error.message}`)
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
