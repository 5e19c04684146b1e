/** `metrics(scheduler)`: what Prometheus scrapes. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Registry } from 'prom-client'
import { LoopDelay } from '../clock.js'
import { fromLineOf, OptionError } from '../errors.js'
import { integer, orDefault, ownOptions, show } from '../options.js'
import type { Scheduler } from '../scheduler.js'
import { EventCounts } from './event-counts.js'
import { readFigures, type Figures, type Sources } from './figures.js'
import { register, type AnyRegistry } from './instruments.js'
import { Labels } from './labels.js'
import { metricTable } from './metric-table.js'
import { ownScheduler } from '../own-scheduler.js'

/** What `metrics()` takes. */
export interface MetricsOptions {
  /** Where the metrics are registered, to be served together with others. Default: a registry of their own. */
  register?: AnyRegistry | undefined
  /**
   * Tasks, and schedules, that get a label value of their own, 1–10,000; those beyond share the value 'other'.
   * Default 16, which makes at most 1,000 time series.
   */
  maxTasks?: number | undefined
}

/** Answers scrapes: fits Express, connect and plain node:http. */
export interface MetricsHandler {
  (req: IncomingMessage, res: ServerResponse, next?: (error?: unknown) => void): void
  /** Where the metrics are registered. */
  readonly register: AnyRegistry
}

/**
 * A handler for `GET /metrics` in the registry's format (by default Prometheus's text format). Call it once, where the
 * scheduler is made: durations, threads and schedules are counted from this call on, all else from the start.
 * @throws OptionError for unknown options, what is no prom-client registry, and one that has these metrics already
 * @example
 * app.get('/metrics', metrics(scheduler))
 */
export function metrics(scheduler: Scheduler, options: MetricsOptions = {}): MetricsHandler {
  const { port, registry, maxTasks } = fromLineOf(metrics, () => read(scheduler, options))
  const loopDelay = new LoopDelay()
  whenClosed(scheduler, () => loopDelay.stop())
  const measurements = port.measure()
  const events = new EventCounts(scheduler, new Labels(maxTasks))
  registerAll(registry, { scheduler, measurements, events, loopDelay, taskLabels: new Labels(maxTasks) })
  const handler = (req: IncomingMessage, res: ServerResponse, next?: (error?: unknown) => void): void => {
    answer(req, res, registry).catch((error: unknown) => {
      if (next !== undefined) return next(error)
      res.statusCode = 500
      res.end()
    })
  }
  return Object.assign(handler, { register: registry })
}

/** Also of a scheduler that has closed, which tells nothing any more. */
function whenClosed(scheduler: Scheduler, run: () => void): void {
  if (scheduler.isClosing) scheduler.close().then(run, run)
  else scheduler.once('closed', run)
}

function read(scheduler: Scheduler, options: MetricsOptions) {
  const port = ownScheduler('metrics()', scheduler)
  const own = ownOptions('metrics()', options, new Set(['register', 'maxTasks']))
  const registry = readRegistry(own['register'])
  const maxTasks = integer('maxTasks', orDefault(own['maxTasks'], 16), 1, 10_000)
  refuseTwice(registry)
  return { port, registry, maxTasks }
}

/** All metrics of one scrape are read at the same moment. */
function registerAll(registry: AnyRegistry, sources: Sources): void {
  let current: Figures | undefined
  const figures = (): Figures => {
    if (current === undefined) {
      current = readFigures(sources)
      // A registry asks all its metrics before anything else runs.
      queueMicrotask(() => (current = undefined))
    }
    return current
  }
  const bounds = sources.measurements.bucketBoundsMs.map((ms) => ms / 1000)
  for (const metric of metricTable) register(metric, registry, bounds, figures)
}

async function answer(req: IncomingMessage, res: ServerResponse, registry: AnyRegistry): Promise<void> {
  if (req.method !== 'GET' && req.method !== 'HEAD') {
    res.statusCode = 405
    res.setHeader('Allow', 'GET, HEAD')
    res.end()
    return
  }
  const text = await registry.metrics()
  res.setHeader('Content-Type', registry.contentType)
  res.setHeader('Cache-Control', 'no-store')
  res.setHeader('Content-Length', Buffer.byteLength(text))
  res.end(req.method === 'HEAD' ? undefined : text)
}

function readRegistry(given: unknown): AnyRegistry {
  if (given === undefined) return new Registry()
  if (isRegistry(given)) return given
  throw new OptionError(`register is ${show(given)}. Give a prom-client Registry, or none.`)
}

/** By shape: a program may have another copy of prom-client than this package finds. */
function isRegistry(given: unknown): given is AnyRegistry {
  if (typeof given !== 'object' || given === null) return false
  const { registerMetric, metrics } = given as Record<string, unknown>
  return typeof registerMetric === 'function' && typeof metrics === 'function'
}

function refuseTwice(registry: AnyRegistry): void {
  if (metricTable.every(({ name }) => registry.getSingleMetric(name) === undefined)) return
  throw new OptionError(
    'The registry has the metrics of a scheduler already. Call metrics() once per scheduler, and give each its own registry.',
  )
}
