import type { IncomingMessage } from 'node:http'
import pino from 'pino'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { createCron } from '../../src/cron/index.js'
import { asksForRetry, failsForGood, failsWith, snoozes } from '../simulation/script.js'
import { makeSim, type Sim } from '../simulation/sim.js'

const soon = { backoff: { type: 'fixed', delay: 10 } } as const
const failed = 'job failed for good'

const lines = (sim: Sim, message: string) => sim.logged.filter((line) => line.message === message)
const atLeastInfo = (sim: Sim) => sim.logged.filter(({ level }) => level !== 'debug')

describe('the log', () => {
  it('is quiet above debug while all goes well', async () => {
    const sim = makeSim()
    for (let n = 0; n < 100; n++) sim.scheduler.defer(sim.task('t'), n)
    let runs = 0
    sim.scheduler.defer(sim.task('later', () => (runs++ === 0 ? snoozes(5) : {})))
    sim.advance(1000)
    expect(atLeastInfo(sim)).toEqual([])
    await sim.close({}, 1000)
    expect(atLeastInfo(sim).map(({ level, message }) => [level, message])).toEqual([
      ['info', 'closing'],
      ['info', 'closed'],
    ])
  })

  it('says of an attempt that close ended at its deadline that the scheduler is closing', async () => {
    const sim = makeSim()
    sim.scheduler.defer(sim.task('polite', { takesMs: 60_000 }))
    sim.advance(10)
    await sim.close({ timeout: 10 }, 2000)
    expect(sim.logged.filter(({ message }) => message.includes('interrupted'))).toMatchObject([
      { level: 'info', message: 'job interrupted: the scheduler is closing' },
    ])
  })

  it('says of an attempt when it began, how long it waited and took, and of a retry when it comes', () => {
    const sim = makeSim()
    const task = sim.task(
      't',
      ({ attempt }) => ({ takesMs: 7, ...(attempt === 1 ? failsWith('no', 'E_NO') : {}) }),
      soon,
    )
    const job = sim.scheduler.defer(task)
    sim.advance(100)
    const of = (attempt: number) => ({ job: job.id, task: 't', attempt })
    expect(sim.logged.filter(({ fields }) => fields['job'] === job.id)).toEqual([
      { level: 'debug', message: 'job started', fields: { ...of(1), waitMs: 0 } },
      {
        level: 'warn',
        message: 'job failed an attempt; it will be retried',
        fields: {
          ...of(1),
          err: expect.objectContaining({ message: 'no', code: 'E_NO' }),
          durationMs: 7,
          inMs: 10,
        },
      },
      { level: 'debug', message: 'job started', fields: { ...of(2), waitMs: 0 } },
      { level: 'debug', message: 'job completed', fields: { ...of(2), durationMs: 7 } },
    ])
  })

  it('tells the failure of an attempt after which its job expired, and told that of one before already', () => {
    const sim = makeSim()
    const expiresIn = 50
    sim.scheduler.defer(sim.task('late', { ...failsWith('disk full'), takesMs: 100 }, { ...soon, expiresIn }))
    sim.scheduler.defer(sim.task('later', { ...asksForRetry(5), takesMs: 100 }, { lane: 'io', expiresIn }))
    sim.scheduler.defer(sim.task('told', failsWith('no'), { lane: 'main', expiresIn }))
    sim.advance(1000)
    const told = lines(sim, 'job expired before its next attempt could start')
    expect(
      told.map(({ level, fields }) => [level, fields['task'], fields['err'], fields['durationMs']]),
    ).toEqual([
      ['warn', 'told', undefined, undefined],
      ['warn', 'late', expect.objectContaining({ message: 'disk full' }), 100],
      ['warn', 'later', expect.objectContaining({ message: 'later' }), 100],
    ])
  })

  it("names an error by the error's own name, with its stack and, once, its message", () => {
    const written: Record<string, unknown>[] = []
    const logger = pino(
      { level: 'warn' },
      { write: (line: string) => void written.push(JSON.parse(line).err as Record<string, unknown>) },
    )
    const cause = { name: 'TypeError', message: 'x is not a function', stack: 'TypeError: x is not a function\n  at tasks.js:3' } // prettier-ignore
    const startFails = {
      name: 'ThreadStartError',
      message: 'The task module tasks.js could not be imported: TypeError: x is not a function',
      code: 'ERR_SIDEWORK_THREAD_START',
      stack: 'ThreadStartError: The task module …\n  at loader.js:1',
      cause,
    }
    const failing = makeSim({ scheduler: { logger } })
    failing.scheduler.defer(
      failing.task('t', { ends: { kind: 'threw', error: { ...cause, code: 'E_X' }, permanent: true } }),
    )
    failing.advance(10)
    const broken = makeSim({ scheduler: { logger }, threads: () => ({ startFails }) })
    broken.scheduler.defer(broken.task('t'))
    broken.advance(10)
    const { name: type, message, stack } = cause
    expect(written).toEqual([
      { type, message, stack, code: 'E_X' },
      {
        type: startFails.name,
        message: startFails.message,
        stack: `${startFails.stack}\ncaused by: ${stack}`,
        code: startFails.code,
      },
    ])
  })

  it('follows the level of its logger, also when that is changed later', () => {
    const written: string[] = []
    const logger = pino(
      { level: 'info' },
      { write: (line: string) => void written.push(String(JSON.parse(line).msg)) },
    )
    const sim = makeSim({ scheduler: { logger } })
    const runOne = (): string[] => {
      sim.scheduler.defer(sim.task('t', { takesMs: 2 }))
      sim.advance(10)
      return written.splice(0)
    }
    expect(runOne()).toEqual([])
    logger.level = 'debug'
    expect(runOne()).toEqual(['job started', 'job completed'])
    logger.level = 'info'
    expect(runOne()).toEqual([])
  })

  it('names the request in every line of its jobs', () => {
    const sim = makeSim()
    const task = sim.task('t', ({ attempt }) => (attempt < 3 ? failsWith('no') : failsForGood('never')), soon)
    const port = sim.scheduler as unknown as {
      deferWithRequest(request: object, task: unknown): { id: string }
    }
    const job = port.deferWithRequest({ id: 'req-1' }, task)
    sim.advance(100)
    const own = sim.logged.filter(({ fields }) => fields['job'] === job.id)
    expect(own).toHaveLength(6)
    for (const { fields } of own) expect(fields['reqId']).toBe('req-1')
  })

  it('names it also to a logger that has a serializer for requests', () => {
    const written: object[] = []
    const req = ({ headers }: IncomingMessage) => ({ agent: headers['user-agent'] })
    const logger = pino(
      { level: 'debug', serializers: { ...pino.stdSerializers, req } },
      { write: (line: string) => void written.push(JSON.parse(line) as object) },
    )
    const sim = makeSim({ scheduler: { logger } })
    const port = sim.scheduler as unknown as { deferWithRequest(request: object, task: unknown): object }
    port.deferWithRequest({ id: 'req-1' }, sim.task('t'))
    sim.advance(10)
    expect(written.filter((line) => 'job' in line)).toMatchObject([
      { msg: 'job started', reqId: 'req-1' },
      { msg: 'job completed', reqId: 'req-1' },
    ])
  })

  it.each([
    ['pino', false, [10, 60]],
    ['a logger without trace and fatal', true, [20, 50]],
  ])(
    'has the lines of handlers at every level, with the fields of their child: %s',
    async (_name, isBare, levels) => {
      const written: Record<string, unknown>[] = []
      const logger = pino(
        { level: 'trace' },
        { write: (line: string) => void written.push(JSON.parse(line) as Record<string, unknown>) },
      )
      if (isBare) Object.assign(logger, { trace: undefined, fatal: undefined })
      const sim = makeSim({ main: 'real', scheduler: { logger } })
      const job = sim.scheduler.defer(({ log }) => {
        const { trace, child } = log
        trace({ n: 1 }, 'looked')
        child({ step: 'resize' }).fatal({ n: 2 }, 'lost')
        log.child({ job: 'not this' }).fatal('a name that is taken')
      })
      await sim.flow(10)
      const own = written.filter(({ msg }) => !String(msg).startsWith('job '))
      expect(own).toMatchObject([
        { level: levels[0], msg: 'looked', n: 1, job: job.id, attempt: 1 },
        { level: levels[1], msg: 'lost', n: 2, step: 'resize', job: job.id },
        { level: levels[1], msg: 'a name that is taken', job: job.id },
      ])
    },
  )

  it('a logger that throws costs a line and no job, and that is told once', () => {
    const told = vi.spyOn(console, 'error').mockImplementation(() => undefined)
    onTestFinished(() => void told.mockRestore())
    const user = (one: { key: object }) => one.key.toString() // meets what it made itself, without a key
    const logger = pino({ level: 'debug', serializers: { user } }, { write: () => undefined })
    const sim = makeSim({ scheduler: { logger } })
    const port = sim.scheduler as unknown as {
      deferWithRequest(request: object, task: unknown): { state: string }
    }
    const task = sim.task('t', ({ attempt }) => (attempt < 3 ? failsWith('no') : {}), soon)
    const job = port.deferWithRequest({ bindings: { user: 'made' } }, task)
    sim.advance(100)
    expect(job.state).toBe('completed')
    expect(told).toHaveBeenCalledOnce()
    expect(told).toHaveBeenCalledWith(
      "sidework: the logger threw, so this line and others like it are left out: 'job started'.",
      expect.any(TypeError),
    )
  })

  it('a logger that throws when it is asked for its level costs lines and no job, and that is told once', async () => {
    const told = vi.spyOn(console, 'error').mockImplementation(() => undefined)
    onTestFinished(() => void told.mockRestore())
    const logger = pino({ level: 'debug' }, { write: () => undefined })
    const sim = makeSim({ main: 'real', scheduler: { logger } })
    // As one does that is looked up in the context of a request, where there is none.
    Object.defineProperty(logger, 'isLevelEnabled', {
      get: () => {
        throw new TypeError('no request')
      },
    })
    createCron(sim.scheduler).every('e', 50, () => undefined)
    const inline = sim.scheduler.defer(({ log }) => log.info('a line of a handler'))
    const jobs = [sim.scheduler.defer(sim.task('t')), inline]
    await sim.flow(100)
    expect(jobs.map(({ state }) => state)).toEqual(['completed', 'completed'])
    expect(told).toHaveBeenCalledOnce()
    expect(told).toHaveBeenCalledWith(
      expect.stringMatching(/^sidework: the logger threw when it was asked for its level/),
      expect.any(TypeError),
    )
  })

  it('shows nothing of a sensitive task that could hold its payload', () => {
    const sim = makeSim()
    const task = sim.task(
      't',
      ({ attempt }) =>
        attempt === 1 ? asksForRetry(1) : attempt === 2 ? failsWith('secret') : failsForGood('secret'),
      {
        sensitive: true,
        orderingKey: () => 'secret',
        onExhausted: 'halt',
        backoff: () => {
          throw new Error('secret')
        },
      },
    )
    sim.scheduler.defer(task, { card: 'secret' }, { id: 'known' })
    const refused = sim.task(
      'refused',
      { ends: { kind: 'completed', resultRefused: 'secret' } },
      { sensitive: true },
    )
    sim.scheduler.defer(refused)
    sim.advance(600_000)
    expect(lines(sim, failed)).toHaveLength(1)
    expect(lines(sim, 'job completed, but its result was dropped')).toHaveLength(1)
    expect(lines(sim, 'ordering key halted: its jobs wait until releaseKey')).toHaveLength(1)
    expect(lines(sim, "the task's backoff function failed; the default was used")).toHaveLength(1)
    const text = sim.logged.map(({ fields }) => {
      const error = fields['err'] as Error | undefined
      return JSON.stringify([fields, error?.message, error?.stack])
    })
    expect(text.join('\n')).not.toContain('secret')
  })

  it.each([
    [
      'fails where nobody catches it',
      100,
      'thread exited: nobody caught an error that came while it ended. Look at teardown(), and at what handlers leave behind',
      { reason: 'idle', exitCode: 1, err: { message: 'pool' } },
    ],
    [
      'never ends',
      Infinity,
      'thread exited: its teardown() had not ended in time. Look for a promise in it that never settles',
      { reason: 'idle', exitCode: 1 },
    ],
  ])('warns of a teardown() that %s', (_, tearsDownInMs, message, fields) => {
    const sim = makeSim({ threads: () => ({ tearsDownInMs }), scheduler: { threads: { idleTimeout: 1000 } } })
    sim.scheduler.defer(sim.task('t'))
    sim.advance(1050)
    if (tearsDownInMs === 100) sim.thread(1).crash({ error: new Error('pool') })
    sim.advance(10_000)
    expect(atLeastInfo(sim)).toEqual([
      { level: 'warn', message, fields: expect.objectContaining({ lane: 'cpu', thread: 1 }) as object },
    ])
    expect(atLeastInfo(sim)[0]?.fields).toMatchObject(fields)
  })

  it('is quiet about a teardown() that ends in time, and about one that is let end its start', async () => {
    const sim = makeSim({ threads: () => ({ tearsDownInMs: 100 }) })
    sim.scheduler.defer(sim.task('t'))
    sim.advance(10)
    await sim.close({}, 1000)
    const starting = makeSim({ threads: () => ({ startsInMs: Infinity }) })
    starting.scheduler.ready().catch(() => undefined)
    starting.advance(10)
    await starting.close({}, 10_000)
    for (const { logged } of [sim, starting])
      expect(logged.filter(({ level }) => level === 'warn' || level === 'error')).toEqual([])
  })

  describe.each(['cpu', 'io'] as const)('of a crash of a thread of lane %s', (lane) => {
    const crashOf = (sim: Sim, culprit?: number) => {
      const events: { error?: { message: string } }[] = []
      sim.scheduler.on('thread:exited', (event) => void events.push(event))
      if (culprit !== undefined) sim.thread(1).say({ kind: 'culprit', token: culprit })
      sim.thread(1).crash({ error: new RangeError('secret') })
      sim.advance(0)
      const [line] = sim.logged.filter(({ message }) => message.startsWith('thread exited'))
      return { fields: line?.fields ?? {}, event: events[0]?.error }
    }
    const withheld = {
      name: 'RangeError',
      message: '(withheld: a sensitive task ran on this thread)',
      stack: 'RangeError',
    }

    it('by what a sensitive task left behind blames no other task, and shows nothing that could hold its payload', () => {
      const sim = makeSim()
      sim.scheduler.defer(sim.task('private', {}, { lane, sensitive: true }))
      sim.advance(10)
      sim.scheduler.defer(sim.task('innocent', { takesMs: 100 }, { lane }))
      sim.advance(10)
      const { fields, event } = crashOf(sim, 0)
      expect(fields).toMatchObject({ err: withheld })
      expect(fields).not.toHaveProperty('task')
      expect(event).toEqual(withheld)
    })

    it('that comes when the jobs of several tasks have ended blames none of them', () => {
      const sim = makeSim()
      sim.scheduler.defer(sim.task('private', {}, { lane, sensitive: true }))
      sim.advance(10)
      sim.scheduler.defer(sim.task('innocent', {}, { lane }))
      sim.advance(10)
      const { fields, event } = crashOf(sim)
      expect(fields).toMatchObject({ err: withheld })
      expect(fields).not.toHaveProperty('task')
      expect(event).toEqual(withheld)
    })

    it('shows the whole error when no task that ran there is sensitive', () => {
      const sim = makeSim()
      sim.scheduler.defer(sim.task('one', {}, { lane }))
      sim.scheduler.defer(sim.task('other', { takesMs: 100 }, { lane }))
      sim.advance(10)
      const { fields, event } = crashOf(sim, 0)
      expect(fields).toMatchObject({ err: { message: 'secret' } })
      expect(event).toMatchObject({ message: 'secret' })
    })

    it('by a job at work names its task; of a sensitive one, event and line withhold the message', () => {
      const sim = makeSim()
      const token = lane === 'cpu' ? 1 : 32
      sim.scheduler.defer(sim.task('private', { takesMs: 100 }, { lane, sensitive: true }))
      sim.advance(10)
      const { fields, event } = crashOf(sim, token)
      expect(fields).toMatchObject({ task: 'private', err: withheld })
      expect(event).toEqual(withheld)
    })
  })

  it('H3: writes 20 lines of a kind and task in 10 s, and then how many it left out', () => {
    const sim = makeSim()
    const task = sim.task('storm', failsForGood('no'))
    for (let n = 0; n < 1000; n++) sim.scheduler.defer(task)
    sim.scheduler.defer(sim.task('other', failsForGood('no')))
    sim.advance(9_000)
    expect(lines(sim, failed).filter(({ fields }) => fields['task'] === 'storm')).toHaveLength(20)
    expect(lines(sim, failed).filter(({ fields }) => fields['task'] === 'other')).toHaveLength(1)
    expect(lines(sim, 'lines like this were left out')).toEqual([])
    sim.advance(2_000)
    expect(lines(sim, 'lines like this were left out')).toEqual([
      {
        level: 'warn',
        message: 'lines like this were left out',
        fields: { line: failed, task: 'storm', count: 980 },
      },
    ])
    sim.scheduler.defer(task)
    sim.advance(10)
    expect(lines(sim, failed).filter(({ fields }) => fields['task'] === 'storm')).toHaveLength(21)
  })

  it('H3: a storm that never ends is written at that rate', () => {
    const sim = makeSim()
    const task = sim.task('storm', failsForGood('no'))
    for (let tick = 0; tick < 600; tick++) {
      sim.scheduler.defer(task)
      sim.advance(100)
    }
    expect(lines(sim, failed).length).toBeGreaterThanOrEqual(120)
    expect(lines(sim, failed).length).toBeLessThanOrEqual(140)
    const told = lines(sim, 'lines like this were left out').reduce(
      (sum, { fields }) => sum + (fields['count'] as number),
      0,
    )
    sim.advance(20_000)
    const all = lines(sim, 'lines like this were left out').reduce(
      (sum, { fields }) => sum + (fields['count'] as number),
      0,
    )
    expect(told).toBeGreaterThan(350)
    expect(all + lines(sim, failed).length).toBe(600)
  })

  it('tells what it left out when the scheduler closes', async () => {
    const sim = makeSim()
    for (let n = 0; n < 50; n++) sim.scheduler.defer(sim.task('storm', failsForGood('no')))
    sim.advance(100)
    await sim.close({}, 1000)
    expect(lines(sim, 'lines like this were left out').map(({ fields }) => fields['count'])).toEqual([30])
    expect(sim.logged.at(-1)?.message).toBe('closed')
  })

  it('warns of a full queue, and of nothing else that the caller is told anyway', () => {
    const sim = makeSim({ scheduler: { maxQueued: 1 } })
    const task = sim.task('t', { takesMs: 10 })
    sim.scheduler.defer(task)
    expect(() => sim.scheduler.defer(task)).toThrow()
    expect(() => sim.scheduler.defer('unknown')).toThrow()
    expect(atLeastInfo(sim)).toEqual([
      { level: 'warn', message: 'a defer was refused: the queue is full', fields: { task: 't' } },
    ])
  })

  it('tells of pauses', () => {
    const sim = makeSim()
    sim.scheduler.pause()
    sim.scheduler.resume()
    sim.scheduler.pause(sim.task('t'))
    expect(atLeastInfo(sim).map(({ message, fields }) => [message, fields])).toEqual([
      ['paused: no new starts', {}],
      ['resumed', {}],
      ['paused: no new starts', { task: 't' }],
    ])
  })
})
