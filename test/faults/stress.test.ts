/** Cancels and deaths at random moments under load. `npm run stress` runs them at full size, and again and again. */
import { readdirSync, readFileSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { beforeEach, describe, expect, it } from 'vitest'
import '../fixtures/tasks/faulty.mjs'
import type { Scheduler } from 'sidework'
import { end, withThreads } from '../scenarios/with-threads.js'
import { openFiles } from './open-files.js'

const tasks = new URL('../fixtures/tasks/faulty.mjs', import.meta.url)
/** How many; 1,000 in full. */
const stress = Number(process.env['STRESS'] ?? 100)
/** A death costs the start of a thread, which has to wait for a core like everybody. */
const timeoutMs = 60_000 + stress * 1000
const unhandled: unknown[] = []
process.on('unhandledRejection', (reason) => unhandled.push(reason))

/** Threads and files (where the system tells), listeners, and what keeps the process alive. */
function held() {
  const threads = process.platform === 'linux' ? readdirSync('/proc/self/task').filter(isAlive).length : 0
  const handles = process.getActiveResourcesInfo().filter((name) => /MessagePort|Worker/.test(name)).length
  const listeners = process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0)
  return { threads, handles, listeners, files: openFiles() }
}

/** In the flags of a thread that is on its way out: Linux's PF_EXITING. */
const exiting = 0x4

/** The system lists a thread for a moment after it has been waited for. */
function isAlive(thread: string): boolean {
  try {
    const stat = readFileSync(`/proc/self/task/${thread}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ') // proc(5): from the third field, the state, on
    return (Number(fields[6]) & exiting) === 0
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT' || (error as { code?: string }).code === 'ESRCH')
      return false
    throw error
  }
}

/** How often each job settled, and the most attempts one had. */
function watch(scheduler: Scheduler) {
  const settled = new Map<string, number>()
  let attempts = 0
  let deaths = 0
  for (const name of ['completed', 'failed', 'cancelled'] as const) {
    scheduler.on(name, ({ id, attempt }) => {
      settled.set(id, (settled.get(id) ?? 0) + 1)
      attempts = Math.max(attempts, attempt)
    })
  }
  scheduler.on('thread:exited', ({ reason }) => void (deaths += Number(reason === 'crashed')))
  return { settled, mostAttempts: () => attempts, deaths: () => deaths }
}

async function start(): Promise<Scheduler> {
  const scheduler = withThreads({ tasks, threads: { cpu: 2, io: 1 } })
  await scheduler.ready()
  return scheduler
}

/** The scheduler still works, and after close() nothing of it is left. */
async function checkNothingIsLeft(scheduler: Scheduler, before: ReturnType<typeof held>): Promise<void> {
  expect(await scheduler.defer('canary', 'alive').result({ timeout: 1000 })).toBe('alive')
  await scheduler.close()
  expect(scheduler.stats().threads).toBe(0)
  await new Promise((resolve) => setImmediate(resolve))
  const after = held()
  for (const kind of ['threads', 'handles', 'listeners'] as const)
    expect(after[kind], kind).toBeLessThanOrEqual(before[kind])
  expect(after.files.length, after.files.join()).toBeLessThanOrEqual(before.files.length)
  expect(unhandled.splice(0)).toEqual([])
}

let before: ReturnType<typeof held>
beforeEach(async () => {
  // What Node starts once and keeps must not be taken for a leak.
  await stat('.')
  await (await start()).close()
  before = held()
})

describe('under load', () => {
  it(
    `B25: ${stress} cancels at random moments: each job settles exactly once, and nothing is left`,
    async () => {
      const scheduler = await start()
      const { settled, mostAttempts } = watch(scheduler)
      const timers: NodeJS.Timeout[] = []
      const names = ['cpu-naps', 'io-naps', 'cpu-stubborn']
      const jobs = Array.from({ length: stress }, (_, n) => {
        const job = scheduler.defer(names[n % names.length] ?? '', Math.random() * 8)
        timers.push(setTimeout(() => job.cancel(), Math.random() * stress * 2))
        return job
      })
      await Promise.all(jobs.map(end))
      await scheduler.idle()
      for (const timer of timers) clearTimeout(timer)
      expect(settled.size).toBe(stress)
      expect([...settled.values()].every((count) => count === 1)).toBe(true)
      expect(mostAttempts()).toBeLessThanOrEqual(5)
      await checkNothingIsLeft(scheduler, before)
    },
    timeoutMs,
  )

  it(
    `I26: ${stress} thread deaths at random moments: each job settles exactly once, as if it were alone`,
    async () => {
      const scheduler = await start()
      const { settled, mostAttempts, deaths } = watch(scheduler)
      const jobs = Array.from({ length: stress }, (_, n) => [
        scheduler.defer(n % 2 === 0 ? 'cpu-dies' : 'io-dies'),
        scheduler.defer(n % 2 === 0 ? 'cpu-naps' : 'io-naps', Math.random() * 3),
      ]).flat()
      await Promise.all(jobs.map(end))
      await scheduler.idle()
      expect(deaths()).toBeGreaterThanOrEqual(stress / 2)
      expect(settled.size).toBe(jobs.length)
      expect([...settled.values()].every((count) => count === 1)).toBe(true)
      expect(mostAttempts()).toBe(2)
      expect(scheduler.stats()).toMatchObject({ completed: jobs.length, failed: 0 })
      await checkNothingIsLeft(scheduler, before)
    },
    timeoutMs,
  )
})
