/** Cases of group B (README.md), against real threads. What is not here stands beside what it is about. */
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { afterEach, expect, it } from 'vitest'
import type { Scheduler, SchedulerOptions } from 'sidework'
import '../fixtures/tasks/faulty.mjs'
import { end, next, withThreads } from '../scenarios/with-threads.js'
import { median } from './measuring.js'

const tasks = new URL('../fixtures/tasks/faulty.mjs', import.meta.url)
const unhandled: unknown[] = []
process.on('unhandledRejection', (reason) => unhandled.push(reason))

let scheduler: Scheduler

function start(options: SchedulerOptions = {}): Scheduler {
  scheduler = withThreads({ tasks, ...options })
  return scheduler
}

afterEach(async () => {
  expect(await scheduler.defer('canary', 'alive').result({ timeout: 1000 })).toBe('alive')
  expect(unhandled.splice(0)).toEqual([])
})

/** A logger that keeps its lines. */
function keeping() {
  const lines: { level: string; fields: Record<string, unknown>; text: string }[] = []
  const at = (level: string) => (fields: Record<string, unknown>, text: string) =>
    void lines.push({ level, fields, text })
  const logger: object = {
    debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error'),
    isLevelEnabled: () => true, child: () => logger,
  } // prettier-ignore
  return { lines, logger: logger as NonNullable<SchedulerOptions['logger']> }
}

it.each([
  ['large-text', 200 * 2 ** 20],
  ['large-bytes', 65 * 2 ** 20],
])(
  'B7: a result that is too large (%s) is dropped in the thread; the job is completed',
  async (task, size) => {
    start()
    await scheduler.ready()
    const held = (): number => process.memoryUsage().external + process.memoryUsage().heapUsed
    const before = held()
    const job = scheduler.defer(task, size)
    expect(await end(job)).toEqual(['ERR_SIDEWORK_RESULT', undefined])
    expect(job.snapshot()).toMatchObject({ state: 'completed', attempt: 1 })
    expect((held() - before) / 2 ** 20).toBeLessThan(20)
  },
)

it('B14: buffers beyond threads.maxRssBytes end their thread; the memory comes back within 5 s', async () => {
  const maxRssBytes = process.memoryUsage.rss() + 200 * 2 ** 20
  start({ threads: { cpu: 1, maxRssBytes } })
  const job = scheduler.defer('buffers', 500)
  const exited = next(scheduler, 'thread:exited')
  expect(await end(job)).toEqual(['ERR_SIDEWORK_FAILED', 'ERR_SIDEWORK_OUT_OF_MEMORY'])
  expect(await exited).toMatchObject({ reason: 'memory' })
  const at = performance.now()
  while (process.memoryUsage.rss() > maxRssBytes && performance.now() - at < 5000) {
    await end(scheduler.defer('canary'))
  }
  expect(process.memoryUsage.rss()).toBeLessThan(maxRssBytes)
})

it('B15: a stack overflow is a failed attempt', async () => {
  start()
  const job = scheduler.defer('recursion')
  await end(job)
  expect(job.snapshot()).toMatchObject({ state: 'failed', error: { name: 'RangeError' } })
})

it.each(['leaves-timer', 'leaves-timer-io'])(
  'B17: 1,000 jobs that leave a timer open (%s) do not fill their thread, and the log names the task',
  async (task) => {
    const { lines, logger } = keeping()
    start({ logger })
    let exits = 0
    scheduler.on('thread:exited', ({ reason }) => void (exits += Number(reason === 'retired')))
    for (let n = 0; n < 1000; n++) await scheduler.defer(task).result()
    await scheduler.idle()
    expect(scheduler.stats()).toMatchObject({ completed: 1000, failed: 0 })
    expect(exits).toBeGreaterThanOrEqual(1)
    const warned = lines.filter(({ text }) => text.includes('leaves timers'))
    expect(warned.length).toBeGreaterThanOrEqual(Math.min(exits, 20)) // of more in 10 s only the number is told
    expect(new Set(warned.map(({ fields }) => fields['task']))).toEqual(new Set([task]))
    expect(Math.max(...warned.map(({ fields }) => Number(fields['count'])))).toBeLessThan(200)
  },
)

it('B18: 100 MB of console output are bounded, and the main loop stays free', async () => {
  const { lines, logger } = keeping()
  start({ logger })
  await scheduler.ready()
  const p99Ms: number[] = []
  const begin = performance.now()
  // Three times: that the machine is taken away from this process once says nothing.
  for (let round = 0; round < 3; round++) {
    const delay = monitorEventLoopDelay({ resolution: 5 })
    delay.enable()
    await end(scheduler.defer('shouts', 100_000))
    delay.disable()
    p99Ms.push(delay.percentile(99) / 1e6)
  }
  const seconds = (performance.now() - begin) / 1000
  expect(Math.min(...p99Ms)).toBeLessThan(50)
  const printed = lines.filter(({ text }) => text.startsWith('xxx'))
  expect(printed.length).toBeGreaterThanOrEqual(100)
  expect(printed.length).toBeLessThanOrEqual(100 * (Math.ceil(seconds) + 1))
})

it('what a thread prints reaches the logger with its level and its job', async () => {
  const { lines, logger } = keeping()
  start({ logger })
  const job = scheduler.defer('prints')
  await end(job)
  const printed = lines.filter(({ fields }) => 'thread' in fields && fields['job'] === job.id)
  expect(printed.map(({ level, text }) => [level, text])).toEqual([
    ['debug', 'a detail'],
    ['info', 'hello world'],
    ['warn', 'careful'],
    ['error', 'oh no'],
    ['info', 'raw'],
  ])
})

it('B22: a flood of progress is coalesced to 10 a second; what is no ratio throws; after the end it is ignored', async () => {
  start()
  const values: unknown[] = []
  scheduler.on('progress', ({ value }) => void values.push(value))
  const begin = performance.now()
  expect(await end(scheduler.defer('flood'))).toBe(5)
  const seconds = (performance.now() - begin) / 1000
  expect(values.length).toBeLessThanOrEqual(10 * seconds + 2)
  expect(values.at(-1)).toBe(1)
})

it('a task of lane cpu that mostly waits is named in the log once, with the lane where it belongs', async () => {
  const { lines, logger } = keeping()
  start({ logger, threads: { cpu: 2, io: 1 } })
  const naps = ['cpu-naps', 'io-naps'].flatMap((task) =>
    Array.from({ length: 60 }, () => end(scheduler.defer(task, 15))),
  )
  await Promise.all(naps)
  const hints = lines.filter(({ text }) => text.includes('mostly waits'))
  expect(hints).toMatchObject([{ level: 'info', fields: { task: 'cpu-naps', attempts: 20 } }])
  expect(hints[0]?.text).toContain("lane 'io'")
})

it.runIf(process.platform === 'linux')('threads run at the niceness that threads.nice says', async () => {
  start({ threads: { cpu: 1, nice: 7 } })
  expect(await end(scheduler.defer('niceness'))).toBe(7)
})

/** Lets both schedulers take the same naps at the same time. @returns how many the second took until one had taken all */
async function shareOf(first: Scheduler, second: Scheduler): Promise<number> {
  const count = 600
  const taken: [number, number] = [0, 0]
  const napsOf = (one: Scheduler, index: 0 | 1): Promise<unknown> =>
    Promise.all(
      Array.from({ length: count }, async () => {
        await end(one.defer('cpu-naps', 5))
        taken[index]++
      }),
    )
  const all = [napsOf(first, 0), napsOf(second, 1)]
  await Promise.race(all)
  const share = taken[1] / taken[0]
  await Promise.all(all)
  return share
}

it('B10: while a task hangs, the other threads do at least 90 % of what as many do without it', async () => {
  const alone = withThreads({ tasks, threads: { cpu: 3, io: 1 } })
  const beside = start({ threads: { cpu: 4, io: 1 } })
  const started = next(beside, 'started')
  const hung = beside.defer('hangs', undefined, { timeout: false })
  await started
  await shareOf(alone, beside) // all threads have started
  const shares: number[] = []
  // At the same time, so that whatever else this machine does is the same for both.
  for (let round = 0; round < 5; round++) shares.push(await shareOf(alone, beside))
  expect(median(shares)).toBeGreaterThanOrEqual(0.9)
  expect(hung.state).toBe('running')
  const exited = next(beside, 'thread:exited')
  const ended = end(hung)
  hung.cancel()
  expect(await exited).toMatchObject({ reason: 'timeout' })
  expect(await ended).toEqual(['ERR_SIDEWORK_CANCELLED', 'ERR_SIDEWORK_CANCELLED'])
})
