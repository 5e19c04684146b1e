import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import express from 'express'
import { Counter, Registry, register as globalRegistry, type OpenMetricsContentType } from 'prom-client'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { LoopDelay } from '../../src/clock.js'
import { createScheduler, defineTask } from '../../src/index.js'
import { metrics } from '../../src/metrics/index.js'
import type { TaskDefinition } from '../../src/task/define-task.js'
import { registeredTasks } from '../../src/task/registry.js'
import { asksForRetry, failsForGood, failsWith, neverEnds, snoozes } from '../simulation/script.js'
import { makeCron } from '../cron/make-cron.js'
import { makeSim, type Sim } from '../simulation/sim.js'
import { seriesNamed, seriesOf } from './exposition.js'

const soon = { backoff: { type: 'fixed', delay: 10 } } as const

function measured(options: Parameters<typeof makeSim>[0] = {}) {
  const sim = makeSim(options)
  const { register } = metrics(sim.scheduler)
  return { sim, scrape: () => register.metrics() }
}

/** One job per way an attempt can end. */
function everyEnd(sim: Sim): void {
  const ways = [{}, failsWith('no'), asksForRetry(5), snoozes(5), failsForGood('never')]
  for (const [index, way] of ways.entries()) {
    sim.scheduler.defer(
      sim.task(`t${index}`, ({ attempt, token }) => (attempt === 1 && token < 6 ? way : {}), soon),
    )
  }
}

describe('the counters', () => {
  it('tell how attempts and jobs of each task ended, in numbers that add up', async () => {
    const { sim, scrape } = measured()
    everyEnd(sim)
    sim.advance(1000)
    const text = await scrape()
    expect(seriesNamed(text, 'sidework_jobs_accepted_total')).toEqual({
      '{task="t0"}': 1,
      '{task="t1"}': 1,
      '{task="t2"}': 1,
      '{task="t3"}': 1,
      '{task="t4"}': 1,
    })
    const above0 = (metric: string) =>
      Object.entries(seriesNamed(text, metric))
        .filter(([, value]) => value > 0)
        .map(([labels, value]) => `${labels.replace(/[{}"]|task=|outcome=/g, '')} ${value}`)
    expect(above0('sidework_jobs_settled_total')).toEqual([
      't0,completed 1',
      't1,completed 1',
      't2,completed 1',
      't3,completed 1',
      't4,failed 1',
    ])
    expect(above0('sidework_attempts_total').sort()).toEqual([
      't0,completed 1',
      't1,completed 1',
      't1,threw 1',
      't2,completed 1',
      't2,retry-later 1',
      't3,completed 1',
      't3,snoozed 1',
      't4,threw 1',
    ])
    expect(above0('sidework_jobs_retried_total')).toEqual(['t1 1', 't2 1'])
  })

  it('count timeouts, cancellations, lost threads and interruptions as ends of attempts', async () => {
    const { sim, scrape } = measured({ scheduler: { threads: { cpu: 2, io: 1 } } })
    const once = { attempts: 1 } as const
    sim.scheduler.defer(sim.task('slow', neverEnds, { ...once, timeout: 10, killAfter: 5 }))
    const unwanted = sim.scheduler.defer(sim.task('unwanted', { takesMs: Infinity }, once))
    sim.scheduler.defer(sim.task('crash', { takesMs: 5, crashes: {} }, { ...once, lane: 'io' }))
    sim.advance(1)
    unwanted.cancel()
    sim.advance(100)
    const ends = seriesNamed(await scrape(), 'sidework_attempts_total')
    expect(ends).toMatchObject({
      '{task="slow",outcome="timed-out"}': 1,
      '{task="unwanted",outcome="cancelled"}': 1,
      '{task="crash",outcome="lost-thread"}': 1,
    })
    expect(Object.values(ends).reduce((sum, count) => sum + count)).toBe(3)
    expect(seriesNamed(await scrape(), 'sidework_threads_exited_total')).toMatchObject({
      '{lane="cpu",reason="timeout"}': 1,
      '{lane="io",reason="crashed"}': 1,
    })
  })

  it('are there at 0 before the first defer is refused and the first thread crashes, so that an alert sees it', async () => {
    const { sim, scrape } = measured({ scheduler: { maxQueued: 1 } })
    const counts = async () => {
      const text = await scrape()
      return [
        seriesNamed(text, 'sidework_jobs_refused_total'),
        seriesNamed(text, 'sidework_threads_exited_total'),
      ]
    }
    const exits = Object.fromEntries(
      ['cpu', 'io'].flatMap((lane) =>
        ['crashed', 'start-failed', 'stuck', 'timeout', 'memory'].map((reason) => [
          `{lane="${lane}",reason="${reason}"}`,
          0,
        ]),
      ),
    )
    const refusals = { '{code="ERR_SIDEWORK_QUEUE_FULL"}': 0, '{code="ERR_SIDEWORK_CLOSED"}': 0 }
    expect(await counts()).toEqual([refusals, exits])
    const task = sim.task('t', { takesMs: 5, crashes: {} })
    sim.scheduler.defer(task)
    for (let n = 0; n < 50; n++) expect(() => sim.scheduler.defer(task)).toThrow('full')
    sim.advance(6)
    expect(await counts()).toEqual([
      { ...refusals, '{code="ERR_SIDEWORK_QUEUE_FULL"}': 50 },
      { ...exits, '{lane="cpu",reason="crashed"}': 1 },
    ])
  })

  it('count duplicates by task and refusals by code, a function of the task that throws as other', async () => {
    const { sim, scrape } = measured({ scheduler: { maxQueued: 2, maxPayloadBytes: 10 } })
    const task = sim.task('t', { takesMs: 1000 })
    sim.scheduler.defer(task, 1, { dedupe: 'k' })
    expect(sim.scheduler.defer(task, 2, { dedupe: 'k' }).deduplicated).toBe(true)
    sim.scheduler.defer(task)
    const throwing = sim.task(
      'throwing',
      {},
      {
        orderingKey: () => {
          throw new Error('mine')
        },
      },
    )
    for (const refused of [
      () => sim.scheduler.defer(task),
      () => sim.scheduler.defer(task),
      () => sim.scheduler.defer(task, 'a'.repeat(20)),
      () => sim.scheduler.defer('unknown'),
      () => sim.scheduler.deferMany([{ task }, { task: 'unknown' }]),
      () => sim.scheduler.deferMany([{ task }, { task }]),
      () => sim.scheduler.defer(throwing, {}),
    ]) {
      expect(refused).toThrow()
    }
    const text = await scrape()
    expect(seriesNamed(text, 'sidework_jobs_deduplicated_total')).toMatchObject({ '{task="t"}': 1 })
    expect(seriesNamed(text, 'sidework_jobs_refused_total')).toEqual({
      '{code="ERR_SIDEWORK_CLOSED"}': 0,
      '{code="ERR_SIDEWORK_QUEUE_FULL"}': 3,
      '{code="ERR_SIDEWORK_PAYLOAD_TOO_LARGE"}': 1,
      '{code="ERR_SIDEWORK_UNKNOWN_TASK"}': 2,
      '{code="other"}': 1,
    })
  })

  it('go on counting for a task whose module is evaluated again', async () => {
    const { sim, scrape } = measured()
    sim.scheduler.defer(sim.task('t'), 1, { dedupe: 'k' })
    sim.scheduler.defer('t', 2, { dedupe: 'k' })
    const again = { ...sim.task('t') }
    registeredTasks().set('t', again as TaskDefinition)
    sim.scheduler.defer(again, 3, { dedupe: 'k' })
    sim.scheduler.defer(again, 4)
    sim.advance(10)
    const text = await scrape()
    expect(seriesNamed(text, 'sidework_jobs_deduplicated_total')).toEqual({ '{task="t"}': 2 })
    expect(seriesNamed(text, 'sidework_job_wait_seconds_count')).toEqual({ '{task="t"}': 2 })
  })
})

describe('the gauges', () => {
  it('tell how many jobs are in each state, how long the oldest waits, and how full the queue is', async () => {
    const { sim, scrape } = measured({ scheduler: { maxQueued: 50, maxQueuedBytes: 1000 } })
    const task = sim.task('t', { takesMs: Infinity }, { timeout: false })
    sim.scheduler.defer(task, 'abc')
    sim.advance(1)
    sim.scheduler.defer(task, 'abc')
    sim.scheduler.defer(task, 'abc', { delay: '1h' })
    sim.advance(2500)
    const series = seriesOf(await scrape())
    const of = (name: string) => series.get(name)
    expect(of('sidework_jobs{task="t",state="running"}')).toBe(1)
    expect(of('sidework_jobs{task="t",state="ready"}')).toBe(1)
    expect(of('sidework_jobs{task="t",state="scheduled"}')).toBe(1)
    expect(of('sidework_jobs{task="t",state="retrying"}')).toBe(0)
    expect(of('sidework_oldest_wait_seconds')).toBe(2.5)
    expect(of('sidework_queue_bytes')).toBe(sim.scheduler.stats().queuedBytes)
    expect(of('sidework_queue_limit_jobs')).toBe(50)
    expect(of('sidework_queue_limit_bytes')).toBe(1000)
    expect(of('sidework_lane_ready_jobs{lane="cpu"}')).toBe(1)
    expect(of('sidework_lane_outstanding_jobs{lane="cpu"}')).toBe(1)
    expect(of('sidework_threads{lane="cpu"}')).toBe(1)
    expect(of('sidework_threads_started_total{lane="cpu"}')).toBe(1)
  })

  it('tell of a blocked event loop, and of a free one afterwards', async () => {
    const scheduler = createScheduler({ logger: false })
    onTestFinished(() => void scheduler.close({ timeout: 0 }))
    const { register } = metrics(scheduler)
    const delay = async () =>
      seriesOf(await register.metrics()).get('sidework_event_loop_delay_max_seconds') ?? NaN
    // The loop is sampled every 10 ms of real time, which is what is measured here.
    const turns = () => new Promise((resolve) => setTimeout(resolve, 30))
    await turns()
    const until = performance.now() + 300
    while (performance.now() < until);
    await turns()
    expect(await delay()).toBeGreaterThan(0.25)
    await turns()
    expect(await delay()).toBeLessThan(0.25)
  })

  it.each(['is closed', 'closes later'])(
    'measure the event loop of a scheduler no longer than it is open: of one that %s',
    async (when) => {
      const stop = vi.spyOn(LoopDelay.prototype, 'stop')
      const read = vi.spyOn(LoopDelay.prototype, 'read')
      onTestFinished(() => void vi.restoreAllMocks())
      const sim = makeSim()
      if (when === 'is closed') await sim.close({}, 1_000)
      const { register } = metrics(sim.scheduler)
      if (when === 'closes later') await sim.close({}, 1_000)
      await register.metrics()
      // Another scheduler's may be stopped meanwhile.
      expect(stop.mock.contexts).toContain(read.mock.contexts[0])
    },
  )

  it('count halted keys', async () => {
    const { sim, scrape } = measured()
    const task = sim.task('t', failsForGood('no'), { onExhausted: 'halt', orderingKey: () => 'k' })
    sim.scheduler.defer(task, {})
    sim.advance(10)
    expect(seriesOf(await scrape()).get('sidework_halted_keys')).toBe(1)
  })
})

describe('the histograms', () => {
  it('hold every start and every end of an attempt, in buckets that add up', async () => {
    const { sim, scrape } = measured()
    const task = sim.task('t', ({ payload }) => ({ takesMs: payload as number }))
    for (const ms of [0, 4, 5, 6, 100, 1000, 1001, 2_000_000]) {
      sim.scheduler.defer(task, ms, { timeout: false })
    }
    sim.advance(4_000_000)
    const text = await scrape()
    const buckets = (metric: string) =>
      Object.fromEntries(
        Object.entries(seriesNamed(text, `${metric}_bucket`)).map(([labels, count]) => [
          /le="([^"]+)"/.exec(labels)?.[1],
          count,
        ]),
      )
    expect(buckets('sidework_attempt_duration_seconds')).toEqual({
      '0.005': 3,
      '0.025': 4,
      '0.1': 5,
      '0.25': 5,
      '1': 6,
      '5': 7,
      '15': 7,
      '60': 7,
      '300': 7,
      '1800': 7,
      '+Inf': 8,
    })
    expect(seriesNamed(text, 'sidework_attempt_duration_seconds_count')).toEqual({ '{task="t"}': 8 })
    expect(seriesNamed(text, 'sidework_attempt_duration_seconds_sum')).toEqual({ '{task="t"}': 2002.116 })
    // Each waited for those before it.
    expect(seriesNamed(text, 'sidework_job_wait_seconds_sum')).toEqual({
      '{task="t"}': (0 + 0 + 4 + 9 + 15 + 115 + 1115 + 2116) / 1000,
    })
    expect(buckets('sidework_job_wait_seconds')).toMatchObject({ '0.005': 3, '0.025': 5, '+Inf': 8 })
  })

  it('begin when metrics() is called, while the counters tell everything since the start', async () => {
    const sim = makeSim()
    sim.scheduler.defer(sim.task('t'))
    sim.advance(10)
    const text = await metrics(sim.scheduler).register.metrics()
    expect(seriesNamed(text, 'sidework_attempt_duration_seconds_count')).toEqual({ '{task="t"}': 0 })
    expect(seriesNamed(text, 'sidework_jobs_accepted_total')).toEqual({ '{task="t"}': 1 })
  })
})

describe('the schedules', () => {
  it('are counted as the real cron fires them: runs, misses and runs that did not take place, by reason', async () => {
    const { sim, cron } = makeCron({ scheduler: { threads: 2 } })
    const { register } = metrics(sim.scheduler)
    const minute = 60_000
    cron.every('quick', '1m', sim.task('quick'))
    cron.every('long', '1m', sim.task('long', { takesMs: 2.5 * minute }), undefined, { overlap: 'skip' })
    const read = async () => {
      const text = await register.metrics()
      return {
        fires: seriesNamed(text, 'sidework_schedule_fires_total'),
        misses: seriesNamed(text, 'sidework_schedule_misses_total'),
        skips: seriesNamed(text, 'sidework_schedule_skips_total'),
      }
    }
    sim.advance(59_999)
    expect(await read()).toEqual({ fires: {}, misses: {}, skips: {} })
    sim.advance(9 * minute + 2)
    // 'long' runs at 1, 4, 7 and 10 minutes.
    expect(await read()).toEqual({
      fires: { '{schedule="quick"}': 10, '{schedule="long"}': 4 },
      misses: { '{schedule="quick"}': 0, '{schedule="long"}': 0 },
      skips: { '{schedule="long",reason="overlap"}': 6 },
    })
    cron.remove('long')
    sim.world.block(5 * minute) // the latest of those that were due is made up for
    sim.advance(1)
    expect(await read()).toMatchObject({
      fires: { '{schedule="quick"}': 11 },
      misses: { '{schedule="quick"}': 4 },
    })
  })
})

describe('the time series', () => {
  it('G19: are at most 1,000, whatever names come, and lose no count', async () => {
    const { sim, scrape } = measured()
    // Before there are many tasks, as a refusal looks for names like it among all of them.
    for (let n = 0; n < 10_000; n++) expect(() => sim.scheduler.defer(`unknown"} 1\n${n}`)).toThrow()
    for (let n = 0; n < 10_000; n++)
      sim.scheduler.defer(sim.task(`hostile/${n}`), undefined, { orderingKey: `key ${n}`, id: `id ${n}` })
    sim.advance(100_000)
    const text = await scrape()
    const series = seriesOf(text)
    expect(series.size).toBeLessThan(1000)
    const accepted = seriesNamed(text, 'sidework_jobs_accepted_total')
    expect(Object.keys(accepted)).toHaveLength(17)
    expect(accepted['{task="other"}']).toBe(10_000 - 16)
    expect(seriesNamed(text, 'sidework_jobs_settled_total')['{task="other",outcome="completed"}']).toBe(9_984)
    expect(seriesNamed(text, 'sidework_jobs_refused_total')).toEqual({
      '{code="ERR_SIDEWORK_QUEUE_FULL"}': 0,
      '{code="ERR_SIDEWORK_CLOSED"}': 0,
      '{code="ERR_SIDEWORK_UNKNOWN_TASK"}': 10_000,
    })
    expect(text).not.toMatch(/key |id \d|unknown/)
  })

  it('keep their labels when further tasks come', async () => {
    const sim = makeSim()
    const { register } = metrics(sim.scheduler, { maxTasks: 1 })
    const accepted = async () => seriesNamed(await register.metrics(), 'sidework_jobs_accepted_total')
    sim.scheduler.defer(sim.task('first'))
    sim.scheduler.defer(sim.task('second'))
    expect(await accepted()).toEqual({ '{task="first"}': 1, '{task="other"}': 1 })
    sim.scheduler.defer(sim.task('third'))
    expect(await accepted()).toEqual({ '{task="first"}': 1, '{task="other"}': 2 })
  })
})

describe('the registry', () => {
  it('is of its own, or the one that is given; never the global one', async () => {
    const sim = makeSim()
    const before = await globalRegistry.getMetricsAsJSON()
    const own = new Registry()
    new Counter({ name: 'mine_total', help: 'Mine.', registers: [own] })
    expect(metrics(sim.scheduler, { register: own }).register).toBe(own)
    expect(await own.metrics()).toMatch(/mine_total 0[^]*sidework_queue_bytes 0/)
    expect(metrics(sim.scheduler).register).not.toBe(own)
    expect(await globalRegistry.getMetricsAsJSON()).toEqual(before)
  })

  it('takes the metrics of one scheduler only', () => {
    const sim = makeSim()
    const register = new Registry()
    metrics(sim.scheduler, { register })
    expect(() => metrics(sim.scheduler, { register })).toThrow(
      expect.objectContaining({ code: 'ERR_SIDEWORK_OPTION' }),
    )
  })

  it.each([
    [{ register: {} }, 'register is an object'],
    [{ register: null }, 'register is null'],
    [{ maxTasks: 0 }, 'maxTasks is 0'],
    [{ prefix: 'x' }, 'prefix'],
  ])('refuses %j', (options, message) => {
    const sim = makeSim()
    expect(() => metrics(sim.scheduler, options as object)).toThrow(message)
  })

  it('refuses what is no scheduler', () => {
    expect(() => metrics({} as never)).toThrow('Give what createScheduler() returned.')
    expect(() => metrics(null as never)).toThrow('Give what createScheduler() returned.')
  })
})

describe('the handler', () => {
  async function serving(handler: Parameters<typeof createServer>[1]): Promise<string> {
    const server = createServer(handler).listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    onTestFinished(() => void server.close())
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  function handlerOf(options = {}) {
    const scheduler = createScheduler({ logger: false })
    onTestFinished(() => void scheduler.close({ timeout: 0 }))
    scheduler.defer(
      defineTask('t', () => undefined, { lane: 'main' }),
      undefined,
    )
    return metrics(scheduler, options)
  }

  it('answers with the text format of Prometheus, on node:http and Express', async () => {
    const handler = handlerOf()
    const app = express().get('/metrics', handler)
    for (const url of [await serving(handler), `${await serving(app)}/metrics`]) {
      const response = await fetch(url)
      expect(response.status).toBe(200)
      expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
      expect(response.headers.get('cache-control')).toBe('no-store')
      const text = await response.text()
      expect(seriesOf(text).get('sidework_jobs_accepted_total{task="t"}')).toBe(1)
      expect(Number(response.headers.get('content-length'))).toBe(Buffer.byteLength(text))
    }
  })

  it('G6: answers HEAD like GET, and other methods with 405', async () => {
    const url = await serving(handlerOf())
    const head = await fetch(url, { method: 'HEAD' })
    expect([head.status, await head.text()]).toEqual([200, ''])
    expect(Number(head.headers.get('content-length'))).toBeGreaterThan(1000)
    const post = await fetch(url, { method: 'POST' })
    expect([post.status, post.headers.get('allow')]).toEqual([405, 'GET, HEAD'])
  })

  it('speaks OpenMetrics when its registry does', async () => {
    const register = new Registry<OpenMetricsContentType>()
    register.setContentType(Registry.OPENMETRICS_CONTENT_TYPE)
    const response = await fetch(await serving(handlerOf({ register })))
    expect(response.headers.get('content-type')).toContain('application/openmetrics-text')
    const text = await response.text()
    expect(text).toMatch(/^sidework_jobs_accepted_total\{task="t"\} 1$/m)
    expect(text).toMatch(/# EOF\n$/)
  })

  it('hands an error of the registry to next, or answers 500 without one', async () => {
    const register = new Registry()
    const handler = handlerOf({ register })
    register.metrics = () => Promise.reject(new Error('broken'))
    expect((await fetch(await serving(handler))).status).toBe(500)
    const app = express().use(handler)
    app.use((error: Error, _req: unknown, res: express.Response, _next: unknown) => {
      res.status(418).send(error.message)
    })
    const response = await fetch(await serving(app))
    expect([response.status, await response.text()]).toEqual([418, 'broken'])
  })
})
