/** Every metric there is: its name, type, labels and meaning, and where its values come from. README.md shows the table. */
import type { SideworkErrorCode } from '../errors.js'
import type { Lane } from '../job/snapshot.js'
import type { Durations, Figures, TaskFigures } from './figures.js'

/** One time series: its value, and its label values in the order of the metric's labels. */
export type Sample<V> = readonly [value: V, ...labels: string[]]

interface Described {
  readonly name: string
  readonly help: string
  readonly labels: readonly string[]
}

export interface PlainMetric extends Described {
  readonly type: 'counter' | 'gauge'
  read(figures: Figures): Iterable<Sample<number>>
}

export interface HistogramMetric extends Described {
  readonly type: 'histogram'
  read(figures: Figures): Iterable<Sample<Durations>>
}

export type Metric = PlainMetric | HistogramMetric

const unsettled = ['held', 'scheduled', 'blocked', 'ready', 'running', 'retrying'] as const
const settled = ['completed', 'failed', 'cancelled', 'expired'] as const
const lanes = ['cpu', 'io', 'main'] as const satisfies readonly Lane[]

/** There at 0 before the first of them, which is then an increase and not the beginning of a series. */
const noRefusals = [
  ['ERR_SIDEWORK_QUEUE_FULL', 0],
  ['ERR_SIDEWORK_CLOSED', 0],
] as const satisfies readonly (readonly [SideworkErrorCode, number])[]

export const metricTable: readonly Metric[] = [
  perTask('sidework_jobs_accepted_total', 'Jobs accepted, each generation counting once.', ({ states }) =>
    Object.values(states).reduce((sum, count) => sum + count, 0),
  ),
  {
    name: 'sidework_jobs_settled_total',
    type: 'counter',
    labels: ['task', 'outcome'],
    help: 'Jobs that reached their end: completed, failed, cancelled or expired.',
    read: ({ tasks }) =>
      tasks.flatMap(({ label, states }) =>
        settled.map((state) => [states[state], label, state] as Sample<number>),
      ),
  },
  perTask(
    'sidework_jobs_retried_total',
    'Attempts that failed and are followed by another.',
    (task) => task.retried,
  ),
  perTask(
    'sidework_jobs_deduplicated_total',
    'Defers that found their job already there.',
    (task) => task.deduplicated,
  ),
  {
    name: 'sidework_jobs_refused_total',
    type: 'counter',
    labels: ['code'],
    help: 'Defers that were refused, by the code of their error; "other" is an error thrown by a function of the task.',
    read: ({ measurements }) =>
      Array.from(new Map([...noRefusals, ...measurements.refusals]), ([code, count]) => [count, code]),
  },
  {
    name: 'sidework_attempts_total',
    type: 'counter',
    labels: ['task', 'outcome'],
    help: 'Attempts that ended, by outcome.',
    read: ({ tasks }) =>
      tasks.flatMap(({ label, attempts }) =>
        Object.entries(attempts).map(([outcome, count]) => [count, label, outcome] as Sample<number>),
      ),
  },
  durations('sidework_job_wait_seconds', 'From ready to started, of every start.', (task) => task.waits),
  durations(
    'sidework_attempt_duration_seconds',
    'From started to its end, of every attempt.',
    (task) => task.runs,
  ),
  {
    name: 'sidework_jobs',
    type: 'gauge',
    labels: ['task', 'state'],
    help: 'Unsettled jobs by state.',
    read: ({ tasks }) =>
      tasks.flatMap(({ label, states }) =>
        unsettled.map((state) => [states[state], label, state] as Sample<number>),
      ),
  },
  gauge(
    'sidework_oldest_wait_seconds',
    'How long the longest ready job has waited; 0 when none is ready.',
    (figures) => figures.stats.oldestWaitMs / 1000,
  ),
  gauge('sidework_queue_bytes', 'Payload bytes of unsettled jobs.', ({ stats }) => stats.queuedBytes),
  gauge(
    'sidework_queue_limit_jobs',
    'Most unsettled jobs (maxQueued).',
    (figures) => figures.measurements.maxQueued,
  ),
  gauge(
    'sidework_queue_limit_bytes',
    'Most payload bytes of unsettled jobs (maxQueuedBytes).',
    ({ measurements }) => measurements.maxQueuedBytes,
  ),
  gauge('sidework_halted_keys', 'Ordering keys that wait for releaseKey.', ({ haltedKeys }) => haltedKeys),
  perLane('sidework_lane_ready_jobs', 'Jobs that wait for a place.', ({ ready }) => ready),
  perLane(
    'sidework_lane_outstanding_jobs',
    'Jobs with a place, or sent ahead to a thread.',
    (lane) => lane.outstanding,
  ),
  perLane(
    'sidework_threads',
    'Threads that have imported their tasks; 1 for the main lane in use.',
    (lane) => lane.threads,
  ),
  {
    name: 'sidework_threads_started_total',
    type: 'counter',
    labels: ['lane'],
    help: 'Threads that have imported their tasks.',
    read: ({ events }) => events.threadsStarted,
  },
  {
    name: 'sidework_threads_exited_total',
    type: 'counter',
    labels: ['lane', 'reason'],
    help: 'Threads that are gone, by reason.',
    read: ({ events }) => events.threadsExited,
  },
  {
    name: 'sidework_handlers_abandoned_total',
    type: 'counter',
    labels: [],
    help: 'Handlers that went on after they were given up: of the main lane, or of a thread that does not exit.',
    read: ({ stats }) => [[stats.abandoned]],
  },
  gauge(
    'sidework_event_loop_delay_mean_seconds',
    'How late the event loop was since the last scrape, on average.',
    ({ loopDelay }) => loopDelay.meanMs / 1000,
  ),
  gauge(
    'sidework_event_loop_delay_max_seconds',
    'How late the event loop was since the last scrape, at worst.',
    ({ loopDelay }) => loopDelay.maxMs / 1000,
  ),
  {
    name: 'sidework_schedule_fires_total',
    type: 'counter',
    labels: ['schedule'],
    help: 'Jobs that schedules deferred.',
    read: ({ events }) => events.scheduleFires,
  },
  {
    name: 'sidework_schedule_misses_total',
    type: 'counter',
    labels: ['schedule'],
    help: 'Instants of schedules that passed without a run.',
    read: ({ events }) => events.scheduleMisses,
  },
  {
    name: 'sidework_schedule_skips_total',
    type: 'counter',
    labels: ['schedule', 'reason'],
    help: 'Runs of schedules that were due and did not take place.',
    read: ({ events }) => events.scheduleSkips,
  },
]

function perTask(name: string, help: string, count: (task: TaskFigures) => number): PlainMetric {
  const read = ({ tasks }: Figures): Sample<number>[] => tasks.map((task) => [count(task), task.label])
  return { name, type: 'counter', labels: ['task'], help, read }
}

function durations(name: string, help: string, of: (task: TaskFigures) => Durations): HistogramMetric {
  return {
    name,
    type: 'histogram',
    labels: ['task'],
    help,
    read: ({ tasks }) => tasks.map((task) => [of(task), task.label]),
  }
}

function gauge(name: string, help: string, value: (figures: Figures) => number): PlainMetric {
  return { name, type: 'gauge', labels: [], help, read: (figures) => [[value(figures)]] }
}

function perLane(
  name: string,
  help: string,
  value: (lane: Figures['stats']['lanes'][Lane]) => number,
): PlainMetric {
  const read = ({ stats }: Figures): Sample<number>[] => lanes.map((lane) => [value(stats.lanes[lane]), lane])
  return { name, type: 'gauge', labels: ['lane'], help, read }
}
