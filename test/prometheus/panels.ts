/** What the Grafana dashboard shows: rows of panels with their expressions. */

export interface Panel {
  readonly title: string
  /** What one sees, and what to do when it looks wrong. */
  readonly description: string
  /** A Grafana unit. */
  readonly unit: string
  readonly kind: 'stat' | 'timeseries'
  /** Expressions with their legends. */
  readonly queries: readonly (readonly [expression: string, legend: string])[]
}

export interface Row {
  readonly title: string
  readonly panels: readonly Panel[]
}

/** The metric for the chosen jobs and instances. */
const of = (metric: string, ...matchers: string[]): string =>
  `sidework_${metric}{${['job=~"$job"', 'instance=~"$instance"', ...matchers].join(', ')}}`
const rate = (metric: string, ...matchers: string[]): string =>
  `rate(${of(metric, ...matchers)}[$__rate_interval])`
const increase = (metric: string, ...matchers: string[]): string =>
  `increase(${of(metric, ...matchers)}[$__range])`
const sumBy = (labels: string, expression: string): string => `sum by (${labels}) (${expression})`
/** What may have no series yet is shown as 0. */
const or0 = (expression: string): string => `${expression} or vector(0)`
const quantile = (q: number, labels: string, metric: string): string =>
  `histogram_quantile(${q}, ${sumBy(`${labels}le`, rate(`${metric}_bucket`))})`

const waits = 'job_wait_seconds'
const runs = 'attempt_duration_seconds'

export const rows: readonly Row[] = [
  {
    title: 'At a glance',
    panels: [
      stat('Ready', 'Jobs that wait for a place.', 'short', `sum(${of('jobs', 'state="ready"')})`),
      stat('Running', 'Jobs that run.', 'short', `sum(${of('jobs', 'state="running"')})`),
      stat(
        'Success rate',
        'Completed jobs of those that completed, failed or expired in the chosen time.',
        'percentunit',
        `sum(${increase('jobs_settled_total', 'outcome="completed"')}) / sum(${increase('jobs_settled_total', 'outcome=~"completed|failed|expired"')})`,
      ),
      stat(
        'Failed',
        'Jobs that failed for good in the chosen time.',
        'short',
        `sum(${increase('jobs_settled_total', 'outcome="failed"')})`,
      ),
      stat(
        'Oldest wait',
        'How long the longest ready job has waited.',
        's',
        `max(${of('oldest_wait_seconds')})`,
      ),
      stat(
        'Queue',
        'Unsettled jobs of the most there may be (maxQueued); beyond that, defers are refused.',
        'percentunit',
        `max(${sumBy('job, instance', of('jobs'))} / ${of('queue_limit_jobs')})`,
      ),
    ],
  },
  {
    title: 'What comes and goes',
    panels: [
      graph('Accepted by task', 'Jobs accepted per second.', 'ops', [
        [sumBy('task', rate('jobs_accepted_total')), '{{task}}'],
      ]),
      graph('Settled by outcome', 'Jobs that reached their end per second.', 'ops', [
        [sumBy('outcome', rate('jobs_settled_total')), '{{outcome}}'],
      ]),
      graph('Failed by task', 'Jobs that failed for good per second: the log has the errors.', 'ops', [
        [sumBy('task', rate('jobs_settled_total', 'outcome="failed"')), '{{task}}'],
      ]),
      graph('Retried by task', 'Failed attempts that are followed by another, per second.', 'ops', [
        [sumBy('task', rate('jobs_retried_total')), '{{task}}'],
      ]),
      graph(
        'Refused by code',
        'Defers that were refused per second; QUEUE_FULL means too much work.',
        'ops',
        [[or0(sumBy('code', rate('jobs_refused_total'))), '{{code}}']],
      ),
      graph('Deduplicated by task', 'Defers per second that found their job already there.', 'ops', [
        [sumBy('task', rate('jobs_deduplicated_total')), '{{task}}'],
      ]),
    ],
  },
  {
    title: 'Waiting',
    panels: [
      graph('Unsettled by state', 'Ready jobs that grow and grow: there are too few places.', 'short', [
        [sumBy('state', of('jobs')), '{{state}}'],
      ]),
      graph('Wait before a start', 'From ready to started.', 's', [
        [quantile(0.5, '', waits), 'p50'],
        [quantile(0.95, '', waits), 'p95'],
        [quantile(0.99, '', waits), 'p99'],
      ]),
      graph('Wait by task, p95', 'From ready to started.', 's', [
        [quantile(0.95, 'task, ', waits), '{{task}}'],
      ]),
      graph('Ready by lane', 'Jobs that wait for a place in each lane.', 'short', [
        [sumBy('lane', of('lane_ready_jobs')), '{{lane}}'],
      ]),
      graph('Payload bytes', 'What unsettled jobs hold, and the most they may (maxQueuedBytes).', 'bytes', [
        [`sum(${of('queue_bytes')})`, 'held'],
        [`sum(${of('queue_limit_bytes')})`, 'most'],
      ]),
      graph('Halted ordering keys', 'Lines that stand still until releaseKey.', 'short', [
        [`sum(${of('halted_keys')})`, 'halted'],
      ]),
    ],
  },
  {
    title: 'Running',
    panels: [
      graph('Attempts by outcome', 'Attempts that ended per second.', 'ops', [
        [sumBy('outcome', rate('attempts_total')), '{{outcome}}'],
      ]),
      graph('Duration of attempts, p95', 'From started to its end.', 's', [
        [quantile(0.95, 'task, ', runs), '{{task}}'],
      ]),
      graph('Busy', 'Attempts that run at once, on average: seconds of running per second.', 'short', [
        [sumBy('task', rate(`${runs}_sum`)), '{{task}}'],
      ]),
      graph('Jobs with a thread by lane', 'Jobs that have a place, or were sent ahead for one.', 'short', [
        [sumBy('lane', of('lane_outstanding_jobs')), '{{lane}}'],
      ]),
    ],
  },
  {
    title: 'Threads and event loop',
    panels: [
      graph('Threads by lane', 'Threads that have imported their tasks.', 'short', [
        [sumBy('lane', of('threads')), '{{lane}}'],
      ]),
      graph(
        'Threads gone by reason',
        'Crashed and timeout cost the jobs beside them an attempt or a wait.',
        'ops',
        [[or0(sumBy('reason', rate('threads_exited_total'))), '{{reason}}']],
      ),
      graph('Threads started', 'Threads that were started per second.', 'ops', [
        [sumBy('lane', rate('threads_started_total')), '{{lane}}'],
      ]),
      graph(
        'Event loop delay',
        'How late the main thread is. Work on lane main, or in routes, holds it up.',
        's',
        [
          [`max(${of('event_loop_delay_mean_seconds')})`, 'mean'],
          [`max(${of('event_loop_delay_max_seconds')})`, 'worst'],
        ],
      ),
      graph(
        'Handlers given up',
        'Handlers of lane main that went on after their timeout, per second.',
        'ops',
        [[`sum(${rate('handlers_abandoned_total')})`, 'abandoned']],
      ),
    ],
  },
  {
    title: 'Schedules',
    panels: [
      graph('Fired', 'Jobs that schedules deferred per second.', 'ops', [
        [or0(sumBy('schedule', rate('schedule_fires_total'))), '{{schedule}}'],
      ]),
      graph('Missed and skipped', 'Runs that did not take place.', 'ops', [
        [or0(sumBy('schedule', rate('schedule_misses_total'))), '{{schedule}} missed'],
        [or0(sumBy('schedule, reason', rate('schedule_skips_total'))), '{{schedule}} {{reason}}'],
      ]),
    ],
  },
]

function stat(title: string, description: string, unit: string, expression: string): Panel {
  return { title, description, unit, kind: 'stat', queries: [[expression, title]] }
}

function graph(title: string, description: string, unit: string, queries: Panel['queries']): Panel {
  return { title, description, unit, kind: 'timeseries', queries }
}
