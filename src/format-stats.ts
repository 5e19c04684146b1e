/** `formatStats`: the figures of a moment as text for a terminal. */
import type { StateCounts } from './job/task-record.js'
import type { Stats } from './stats.js'

/** Tasks that get a line of their own. */
const mostTasks = 20

/**
 * The figures as lines of text: jobs by state, what waits, lanes, and a line per task, the busiest first; of more than 20
 * tasks the others are one line. Without colours, and without a line break at the end.
 * @example
 * console.log(formatStats(scheduler.stats()))
 */
export function formatStats(stats: Stats): string {
  const { lanes, queuedBytes, oldestWaitMs, eventLoopDelayMs } = stats
  const laneRows = (['cpu', 'io', 'main'] as const).map((name) => [
    name,
    number(lanes[name].ready),
    number(lanes[name].outstanding),
    number(lanes[name].threads),
  ])
  return [
    `unsettled  ${counted(stats, ['ready', 'running', 'retrying', 'scheduled', 'blocked', 'held'])}`,
    `settled    ${counted(stats, ['completed', 'failed', 'cancelled', 'expired'])}`,
    `queue      oldest waits ${seconds(oldestWaitMs)}, ${bytes(queuedBytes)}, event loop ${seconds(eventLoopDelayMs)} late`,
    '',
    ...table([['lane', 'ready', 'with a thread', 'threads'], ...laneRows]),
    '',
    ...table([['task', 'waiting', 'running', 'completed', 'failed', 'other ends'], ...taskRows(stats)]),
  ].join('\n')
}

function counted(counts: StateCounts, states: readonly (keyof StateCounts)[]): string {
  return states.map((state) => `${number(counts[state])} ${state}`).join(', ')
}

function taskRows({ perTask }: Stats): string[][] {
  const tasks = Object.entries(perTask).sort(
    ([a, one], [b, other]) => unsettled(other) - unsettled(one) || a.localeCompare(b),
  )
  const rows = tasks.slice(0, mostTasks).map(([name, counts]) => taskRow(name, [counts]))
  const others = tasks.slice(mostTasks).map(([, counts]) => counts)
  return others.length === 0 ? rows : [...rows, taskRow(`${number(others.length)} others`, others)]
}

function taskRow(name: string, all: readonly StateCounts[]): string[] {
  const sum = (value: (counts: StateCounts) => number): string =>
    number(all.reduce((total, counts) => total + value(counts), 0))
  return [
    name,
    sum((counts) => unsettled(counts) - counts.running),
    sum(({ running }) => running),
    sum(({ completed }) => completed),
    sum(({ failed }) => failed),
    sum(({ cancelled, expired }) => cancelled + expired),
  ]
}

function unsettled({ held, scheduled, blocked, ready, running, retrying }: StateCounts): number {
  return held + scheduled + blocked + ready + running + retrying
}

/** Names to the left, numbers to the right. */
function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? '').length)),
  )
  return rows.map((row) =>
    row
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('  '),
  )
}

function number(value: number): string {
  return value.toLocaleString('en-US')
}

function seconds(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`
}

function bytes(size: number): string {
  if (size < 1024) return `${size} B`
  return size < 1024 ** 2 ? `${(size / 1024).toFixed(1)} KiB` : `${(size / 1024 ** 2).toFixed(1)} MiB`
}
