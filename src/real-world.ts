/** The World of production: real time, chance, timers, worker threads, and the main lane on this thread's event loop. */
import { captureContext } from './async-context.js'
import { after, Alarm, KeepAlive, monotonicMs, random, randomKey, realClock } from './clock.js'
import { MainLane, type MainLanePorts } from './main-lane/main-lane.js'
import { idKeyBytes } from './job/job-ids.js'
import type { Settings } from './scheduler-options.js'
import { startThread } from './threads/thread.js'
import type { World } from './world.js'

/** What a world needs of the scheduler it is made for. */
export interface WorldNeeds {
  readonly settings: Settings
  /** The handler of a main-lane job. */
  readonly definitionOf: MainLanePorts['definitionOf']
}

export function realWorld({ settings, definitionOf }: WorldNeeds): World {
  const clock = realClock()
  const idKey = randomKey(idKeyBytes)
  const alarm = new Alarm()
  const keepAlive = new KeepAlive()
  const soon = (task: () => void): void => queueMicrotask(task)
  const nextTurn = (task: () => void): void => void setImmediate(task)
  // Whoever wakes the main lane, one request say, must not lend its AsyncLocalStorage context to all the jobs there.
  const runNeutral = captureContext()
  const neutralTurn = (task: () => void): void => nextTurn(() => runNeutral(task))
  return {
    clock,
    random,
    idKey,
    soon,
    startSoon: soon,
    nextTurn,
    armTimer: (at, wake) => alarm.arm(at, clock, wake),
    keepAlive: (active) => keepAlive.set(active),
    startThread: (lane, listener) =>
      lane === 'main'
        ? new MainLane(
            { definitionOf, idKey, nextTurn: neutralTurn, soon, now: monotonicMs, after },
            settings.mainBudgetMs,
            listener,
          )
        : startThread(lane, idKey, settings.threads, listener),
    close() {
      alarm.arm(undefined, clock, () => undefined)
      keepAlive.close()
    },
  }
}
