/**
 * Cases of group H (README.md): what piles up over a long life. What H3 says of the log is in events/log.test.ts; `npm run soak` looks at
 * all of it.
 */
import { getEventListeners } from 'node:events'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, it, onTestFinished } from 'vitest'
import type { Job, Scheduler } from '../../src/index.js'
import { makeScheduler } from './harness.js'

/** Defers this many jobs, a thousand at a time, and waits for all. */
async function runJobs(scheduler: Scheduler, count: number, deferOne: (n: number) => unknown): Promise<void> {
  for (let n = 0; n < count; n += 1000) {
    for (let m = 0; m < 1000; m++) deferOne(n + m)
    await scheduler.idle()
  }
}

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void // what that flag adds

/** MB of the heap that are in use. */
async function heapMb(): Promise<number> {
  for (let n = 0; n < 3; n++) {
    await nextTurn()
    collectGarbage()
  }
  return process.memoryUsage().heapUsed / 2 ** 20
}

it('H1: of settled jobs the last are kept, bounded by count, bytes and age, and the heap does not grow with the others', async () => {
  const kept = { completed: 100, failed: 50 }
  const scheduler = makeScheduler({ keep: { ...kept, bytes: 2 ** 20, for: '1h' } })
  const load = (count: number) =>
    runJobs(scheduler, count, (n) =>
      scheduler.defer(
        () => {
          if (n % 10 === 0) throw new Error('no')
          return { n }
        },
        { attempts: 1, ...(n % 3 === 0 ? { id: `own ${accepted++}` } : {}) },
      ),
    )
  let accepted = 0
  await load(20_000)
  const before = await heapMb()
  await load(60_000)
  expect((await heapMb()) - before).toBeLessThan(3) // 60,000 kept jobs would be over 20
  expect(scheduler.jobs({ state: 'completed', limit: 1000 })).toHaveLength(kept.completed)
  expect(scheduler.jobs({ state: 'failed', limit: 1000 })).toHaveLength(kept.failed)
  expect(scheduler.stats()).toMatchObject({ completed: 72_000, failed: 8_000 })

  const withBytes = makeScheduler({ keep: { completed: 1000, bytes: 100_000 } })
  await runJobs(withBytes, 1000, () => withBytes.defer(() => 'x'.repeat(1000)))
  expect(withBytes.jobs({ limit: 1000 }).length).toBeLessThanOrEqual(100)
})

it('H1, H3: by default 1,000 completed and 10,000 failed jobs are kept, however many there were; the counts go on', async () => {
  const scheduler = makeScheduler()
  const jobs: Job[] = []
  const fails = (): void => {
    throw new Error('no')
  }
  await runJobs(scheduler, 3_000, () => jobs.push(scheduler.defer(() => 1)))
  await runJobs(scheduler, 12_000, () => jobs.push(scheduler.defer(fails, { attempts: 1 })))
  const kept = (first: number, count: number): boolean[] =>
    jobs.slice(first, first + count).map(({ id }) => scheduler.job(id) !== undefined)
  expect(kept(0, 3_000).indexOf(true)).toBe(2_000)
  expect(kept(2_000, 1_000)).not.toContain(false)
  expect(kept(3_000, 12_000).indexOf(true)).toBe(2_000)
  expect(kept(5_000, 10_000)).not.toContain(false)
  expect(scheduler.stats()).toMatchObject({ completed: 3_000, failed: 12_000 })
})

it('H2: listeners, signals and waiters of 10,000 jobs are let go of, without a warning', async () => {
  const warnings: Error[] = []
  const onWarning = (warning: Error) => void warnings.push(warning)
  process.on('warning', onWarning)
  onTestFinished(() => void process.off('warning', onWarning))
  const scheduler = makeScheduler({ keep: { completed: 10, failed: 10 } })
  const shared = new AbortController()
  const load = (count: number) =>
    runJobs(scheduler, count, (n) => {
      const job = scheduler.defer(
        ({ signal, progress }) => {
          signal.addEventListener('abort', () => undefined)
          progress(0.5)
          if (n % 7 === 0) throw new Error('no')
        },
        { attempts: 2, signal: shared.signal },
      )
      if (n % 2 === 0) job.result({ timeout: '1h' }).catch(() => undefined) // it fails, as told
      if (n % 11 === 0) job.cancel()
    })
  await load(2_000)
  const before = await heapMb()
  await load(10_000)
  expect(getEventListeners(shared.signal, 'abort')).toEqual([])
  const waiting = Array.from({ length: 100 }, () =>
    scheduler.defer(() => 1, { delay: '1h', signal: shared.signal }),
  )
  waiting[0]?.cancel()
  shared.abort(new Error('enough'))
  expect(new Set(waiting.map(({ state }) => state))).toEqual(new Set(['cancelled']))
  expect((await heapMb()) - before).toBeLessThan(3)
  expect(process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length).toBeLessThan(10)
  await nextTurn()
  expect(warnings).toEqual([])
})
