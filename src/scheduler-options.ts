import type { ResourceLimits } from 'node:worker_threads'
import type { Logger } from 'pino'
import type { Duration } from './options.js'
import type { TaskOptions } from './task/task-options.js'

/** Options of the worker threads. A bare number means `cpu`. */
export interface ThreadOptions {
  /** Threads of the cpu lane, each running one job at a time. 1–256, default `os.availableParallelism() - 1`, at least 1. */
  cpu?: number | undefined
  /** Threads of the io lane. 1–256, default 1. */
  io?: number | undefined
  /** Jobs that share an io thread. 1–10,000, default 32. */
  ioConcurrency?: number | undefined
  /** Threads per lane that stay when idle, 0–256, default 0; one that is lost is replaced at once up to so many. */
  minIdle?: number | undefined
  /** How long a thread above `minIdle` stays without work. Default '30s'. */
  idleTimeout?: Duration | undefined
  /**
   * How long a thread may take to import the task modules and run their `setup()`; then it is given up and the jobs wait
   * for another. Default '9s'.
   */
  startTimeout?: Duration | undefined
  /** Niceness of the threads on Linux, 0–19: higher gives way to requests more. Default 10. */
  nice?: number | undefined
  /** Memory bounds of each thread, as Node's `Worker` takes them. Default: Node's own. */
  resourceLimits?: ResourceLimits | undefined
  /**
   * Memory of the whole process (RSS, bytes) above which the thread that holds most is replaced and its job failed: what
   * `resourceLimits` do not cover, such as Buffers. Default: 80 % of what the system or its container has.
   */
  maxRssBytes?: number | undefined
  /** Node flags for the threads, on top of those of the process that make sense there. */
  execArgv?: readonly string[] | undefined
  /** A bundled thread entry of your own that imports 'sidework/thread'. Default: the package's. */
  entry?: URL | undefined
}

/** Options of `createScheduler`. */
export interface SchedulerOptions {
  /**
   * The modules that define tasks; every thread imports them. A `file:` URL, a path relative to the working directory, or
   * several; './tasks.js' finds './tasks.ts'. Default none: then only lane `main` has places.
   */
  tasks?: URL | string | readonly (URL | string)[] | undefined
  /** A bare number means `threads.cpu`. */
  threads?: number | ThreadOptions | undefined
  /**
   * The main lane: jobs at once (default 8), work per turn of the event loop (default '5ms'), and how long other work of a
   * turn may take before nothing starts (default '20ms'; one job a second starts nevertheless). A handler that holds the main
   * thread for `blockedAfter` (default '1s', `false` for never) is told while it does, on stderr, and afterwards in the log.
   */
  main?:
    | {
        concurrency?: number | undefined
        budget?: Duration | undefined
        maxDelay?: Duration | undefined
        blockedAfter?: Duration | false | undefined
      }
    | undefined
  /** Most unsettled jobs. 1–5,000,000, default 100,000. */
  maxQueued?: number | undefined
  /** Most bytes of payload in unsettled jobs. Default 256 MiB. */
  maxQueuedBytes?: number | undefined
  /** Most bytes of one payload's JSON. Default 256 KiB, at most 512 MiB. */
  maxPayloadBytes?: number | undefined
  /** The wait that is worth one priority level; `false` for strict priority. Default '30s'. */
  aging?: Duration | false | undefined
  /**
   * Settled jobs kept for `job(id)`: completed ones (default 1,000), failed, cancelled and expired ones (10,000; each
   * 0–5,000,000), bytes (64 MiB, half for each group), age ('24h').
   */
  keep?:
    | {
        completed?: number | undefined
        failed?: number | undefined
        bytes?: number | undefined
        for?: Duration | undefined
      }
    | undefined
  /** Limits that several tasks share, by name: most running at once, most starts in any window of length `per`. */
  limits?:
    | Readonly<
        Record<
          string,
          {
            concurrency?: number | undefined
            rateLimit?: { limit: number; per: Duration } | undefined
          }
        >
      >
    | undefined
  /** For every task that does not say. Not `orderingKey`, `dedupe`, `concurrency`, `rateLimit`, `limits`, `input`. */
  defaults?: Omit<TaskOptions, 'orderingKey' | 'dedupe' | 'concurrency' | 'rateLimit' | 'limits'> | undefined
  /** A pino logger, or `false` for silence. Default: pino at 'info', named 'sidework'. */
  logger?: Logger | false | undefined
}
