/** The World of production: real time, chance, timers, worker threads, and the main lane on this thread's event loop. */
// As it is at import: an app's tests may replace the global one by a fake that never fires.
import { setImmediate } from 'node:timers'
import { CapturedContext } from './async-context.js'
import { after, Alarm, KeepAlive, monotonicMs, random, randomKey, realClock } from './clock.js'
import { BlockageWatch, type BlockagePorts } from './main-lane/blockage.js'
import { MainLane, type MainLanePorts } from './main-lane/main-lane.js'
import { idKeyBytes } from './job/job-ids.js'
import type { Settings } from './read-settings.js'
import { startThread } from './threads/thread.js'
import { turnGate } from './turn-gate.js'
import type { World } from './world.js'

/** What a world needs of the scheduler it is made for. */
export interface WorldNeeds {
  readonly settings: Settings
  /** The handler of a main-lane job. */
  readonly definitionOf: MainLanePorts['definitionOf']
  /** The `AsyncLocalStorage` context of a main-lane job. */
  readonly contextOf: MainLanePorts['contextOf']
  /** A main-lane handler held the main thread. */
  readonly held: BlockagePorts['held']
  /** Nobody watches the main thread. */
  readonly unwatched: BlockagePorts['failed']
}

export function realWorld({ settings, definitionOf, contextOf, held, unwatched }: WorldNeeds): World {
  const clock = realClock()
  const idKey = randomKey(idKeyBytes)
  const alarm = new Alarm()
  const keepAlive = new KeepAlive()
  const soon = (task: () => void): void => queueMicrotask(task)
  // Ticks that are queued by a microtask come after all microtasks.
  const afterMicrotasks = (task: () => void): void => queueMicrotask(() => process.nextTick(task))
  const { blockedAfterMs } = settings
  // Without a logger nobody wants to be told.
  const isWatched = settings.logger !== undefined && blockedAfterMs < Infinity
  const ports = { now: monotonicMs, held, failed: unwatched }
  const blockage = isWatched ? { blockage: new BlockageWatch(blockedAfterMs, ports) } : undefined
  // Whoever starts a thread, arms the timer or asks for a turn, one request say, must not lend its AsyncLocalStorage context
  // to all that comes of it; and what lives long would keep that alive.
  const neutral = new CapturedContext()
  const nextTurn = (task: () => void): void => neutral.run(() => void setImmediate(task))
  return {
    clock,
    random,
    idKey,
    soon,
    startSoon: turnGate(soon, nextTurn),
    nextTurn,
    ask: (hook) => hook(),
    rssBytes: () => process.memoryUsage.rss(),
    armTimer: (at, wake) => neutral.run(() => alarm.arm(at, clock, wake)),
    keepAlive: (active) => neutral.run(() => keepAlive.set(active)),
    startThread: (lane, listener) =>
      lane === 'main'
        ? new MainLane(
            {
              definitionOf,
              contextOf,
              idKey,
              payloadLimits: settings.threads.payloadLimits,
              sensitiveByDefault: settings.threads.sensitiveByDefault,
              nextTurn,
              soon: (task) => neutral.run(() => soon(task)),
              afterMicrotasks,
              now: monotonicMs,
              after,
              ...blockage,
            },
            settings.mainPace,
            listener,
          )
        : neutral.run(() => startThread(lane, idKey, settings.threads, listener)),
    close() {
      alarm.arm(undefined, clock, () => undefined)
      keepAlive.close()
    },
  }
}
