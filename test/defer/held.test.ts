/** Jobs that wait for a response, through the port that the Express add-on uses. */
import { describe, expect, it } from 'vitest'
import { failsWith, type Behaviour, type Run } from '../simulation/script.js'
import { makeSim, type Sim } from '../simulation/sim.js'

const hold = (sim: Sim, task: string, payload?: unknown, options?: object) =>
  sim.scheduler.hold(undefined, task, payload, options)
const release = (sim: Sim, ...jobs: { id: string }[]): void =>
  sim.scheduler.releaseHeld(jobs.map(({ id }) => id))
const errorOf = (job: { result(): Promise<unknown> }) =>
  job.result().catch((error: { code: string; cause?: { code?: string; message?: string } }) => error)

function simWith(...tasks: string[]): Sim {
  const sim = makeSim()
  for (const name of tasks) sim.task(name)
  return sim
}

describe('a held job', () => {
  it('has its id at once, is counted, and does not run', () => {
    const sim = simWith('t')
    const job = hold(sim, 't', 'payload', { id: 'mine' })
    sim.advance(10_000)
    expect([job.id, job.state, job.deduplicated]).toEqual(['mine', 'held', false])
    expect(sim.scheduler.job('mine')).toMatchObject({ state: 'held', payload: 'payload' })
    expect(sim.scheduler.stats()).toMatchObject({ accepted: 1, held: 1, queuedBytes: 9 })
    expect(sim.scheduler.jobs({ state: 'held' })).toHaveLength(1)
    expect(sim.began).toEqual([])
    expect(sim.world.isKeptAlive).toBe(true)
    expect(() => hold(sim, 't', 1, { id: 'mine' })).toThrow(
      expect.objectContaining({ code: 'ERR_SIDEWORK_ID_TAKEN' }),
    )
  })

  it('counts against maxQueued and maxQueuedBytes from the start, so that its release is never refused', () => {
    const sim = makeSim({ scheduler: { maxQueued: 2, maxQueuedBytes: 100 } })
    sim.task('t', { takesMs: 10 })
    const held = hold(sim, 't', 'x'.repeat(60))
    expect(() => hold(sim, 't', 'x'.repeat(60))).toThrow(
      expect.objectContaining({ code: 'ERR_SIDEWORK_QUEUE_FULL' }),
    )
    sim.scheduler.defer('t')
    expect(() => hold(sim, 't')).toThrow(expect.objectContaining({ code: 'ERR_SIDEWORK_QUEUE_FULL' }))
    release(sim, held)
    sim.advance(100)
    expect(held.state).toBe('completed')
  })

  it('that is awaited without a bound is warned of, as the response may be what waits', () => {
    const sim = simWith('t')
    const job = hold(sim, 't')
    const warnings = () => sim.logged.filter(({ level }) => level === 'warn')
    void job.result({ timeout: '1s' }).catch(() => undefined)
    expect(warnings()).toEqual([])
    void job.result()
    expect(warnings()).toEqual([
      {
        level: 'warn',
        fields: { task: 't' },
        message: expect.stringMatching(/^result\(\) was called of what is held/),
      },
    ])
    release(sim, job)
    void job.result()
    sim.advance(10)
    expect(warnings()).toHaveLength(1)
  })

  it('that is refused leaves no trace', () => {
    const sim = simWith('t')
    const refused: unknown[] = []
    sim.scheduler.on('refused', ({ task, code }) => void refused.push([task, code]))
    expect(() => hold(sim, 't', 1n)).toThrow(expect.objectContaining({ code: 'ERR_SIDEWORK_PAYLOAD' }))
    sim.advance(0)
    expect(refused).toEqual([['t', 'ERR_SIDEWORK_PAYLOAD']])
    expect(sim.scheduler.stats().accepted).toBe(0)
  })

  it('begins its delay at its release', () => {
    const sim = simWith('t')
    const job = hold(sim, 't', undefined, { delay: 1000 })
    sim.advance(5000)
    release(sim, job)
    expect(job.state).toBe('scheduled')
    sim.advance(999)
    expect(sim.began).toEqual([])
    sim.advance(1)
    expect(job.state).toBe('completed')
  })

  it('begins its time to expire at its release', () => {
    const sim = simWith('t')
    const job = hold(sim, 't', undefined, { expiresIn: 100 })
    sim.advance(5000)
    expect(job.state).toBe('held')
    sim.scheduler.pause()
    release(sim, job)
    sim.advance(99)
    expect(job.state).toBe('ready')
    sim.advance(1)
    expect(job.state).toBe('expired')
  })

  it('joins its line at its release', () => {
    const sim = makeSim()
    sim.task('t', { takesMs: 10 })
    const held = hold(sim, 't', 'held', { orderingKey: 'k' })
    sim.scheduler.defer('t', 'other', { orderingKey: 'k' })
    sim.advance(1)
    release(sim, held)
    expect(held.state).toBe('blocked')
    sim.advance(100)
    expect(sim.payloads).toEqual(['other', 'held'])
  })

  it('that what a thread had to say has ended, as its dedupe key was looked up, is not let go', () => {
    const sim = makeSim()
    const last = { dedupe: { key: 'k', mode: 'last' } } as const
    const backoff = (): number => {
      sim.scheduler.cancelAll({ task: 'short' })
      return 10
    }
    const behaves = ({ payload }: Run): Behaviour =>
      payload === 'bad' ? { ...failsWith('no'), takesMs: 4 } : { takesMs: payload === 'ahead' ? 5 : 0 }
    sim.task('short', behaves, { backoff })
    for (let n = 0; n < 40; n++) {
      sim.scheduler.defer('short')
      sim.advance(0)
    }
    const held = hold(sim, 'short', 'held', last)
    sim.scheduler.defer('short', 'bad')
    const ahead = sim.scheduler.defer('short', 'ahead', last)
    // The thread has said that its first job failed, and begun the second: nothing is read yet.
    sim.world.plan('user', 1, () => {
      sim.world.plan('user', 3, () => {
        expect([ahead.state, held.state]).toEqual(['ready', 'held'])
        release(sim, held)
      })
    })
    sim.advance(1000)
    expect(held.state).toBe('cancelled')
    expect(sim.scheduler.defer('short', 'next', last).deduplicated).toBe(false)
  })

  it('with its neighbours of one request is released together, and twice is once', () => {
    const sim = simWith('t')
    const jobs = [1, 2, 3].map((n) => hold(sim, 't', n))
    release(sim, ...jobs, { id: 'unknown' })
    release(sim, ...jobs)
    sim.advance(10)
    expect(sim.payloads).toEqual([1, 2, 3])
    release(sim, ...jobs)
    sim.advance(10)
    expect(sim.scheduler.stats()).toMatchObject({ completed: 3, accepted: 3 })
  })

  it('that is discarded is cancelled with the reason; released later it stays so', async () => {
    const sim = simWith('t')
    const job = hold(sim, 't')
    const ended = errorOf(job)
    sim.scheduler.discardHeld([job.id, 'unknown'], 'The response failed.')
    release(sim, job)
    sim.advance(10)
    expect(job.state).toBe('cancelled')
    expect(await ended).toMatchObject({ code: 'ERR_SIDEWORK_CANCELLED', cause: { message: 'The response failed.' } }) // prettier-ignore
    expect(sim.began).toEqual([])
    expect(sim.scheduler.stats().queuedBytes).toBe(0)
  })

  it('that runs already is not discarded', () => {
    const sim = makeSim()
    sim.task('t', { takesMs: 10 })
    const job = hold(sim, 't')
    release(sim, job)
    sim.advance(1)
    sim.scheduler.discardHeld([job.id], 'too late')
    sim.advance(20)
    expect(job.state).toBe('completed')
  })

  it('can be cancelled, by id and by its signal, and given another priority', () => {
    const sim = simWith('t')
    const controller = new AbortController()
    const jobs = [hold(sim, 't'), hold(sim, 't', undefined, { signal: controller.signal })]
    expect(sim.scheduler.setPriority(jobs[0]?.id ?? '', 9)).toBe(true)
    expect(jobs[0]?.snapshot().priority).toBe(9)
    expect(sim.scheduler.runNow(jobs[0]?.id ?? '')).toBe(false)
    jobs[0]?.cancel()
    controller.abort()
    expect(jobs.map(({ state }) => state)).toEqual(['cancelled', 'cancelled'])
    expect(hold(sim, 't', undefined, { signal: AbortSignal.abort() }).state).toBe('cancelled')
  })

  it('is lost by close(), which does not wait for it, and listed as held', async () => {
    const sim = simWith('t')
    const job = hold(sim, 't', 'payload')
    const ended = errorOf(job)
    const { lost } = await sim.close({}, 1000)
    expect(lost).toMatchObject([{ id: job.id, state: 'held', payload: 'payload' }])
    expect(await ended).toMatchObject({ code: 'ERR_SIDEWORK_CLOSED' })
    release(sim, job)
    expect(job.state).toBe('cancelled')
  })

  it('may be released while closing drains, and runs', async () => {
    const sim = makeSim()
    sim.task('t', { takesMs: 100 })
    sim.scheduler.defer('t')
    const job = hold(sim, 't')
    sim.advance(1)
    const closed = sim.scheduler.close()
    const late = hold(sim, 't')
    release(sim, job, late)
    sim.advance(1000)
    expect((await closed).lost).toEqual([])
    expect([job.state, late.state]).toEqual(['completed', 'completed'])
    expect(() => hold(sim, 't')).toThrow(expect.objectContaining({ code: 'ERR_SIDEWORK_CLOSED' }))
  })
})

describe('a held job with a dedupe key', () => {
  const key = { dedupe: 'k' } as const
  const last = { dedupe: { key: 'k', mode: 'last' } } as const

  it('takes part from its release on', () => {
    const sim = simWith('t')
    const held = hold(sim, 't', 'held', key)
    const other = sim.scheduler.defer('t', 'other', { ...key, delay: 50 })
    expect(other.deduplicated).toBe(false)
    other.cancel()
    sim.scheduler.pause()
    release(sim, held)
    expect(sim.scheduler.defer('t', 'again', key).id).toBe(held.id)
  })

  it('that finds a duplicate is cancelled with ERR_SIDEWORK_DEDUPLICATED and the id of the other', async () => {
    const sim = simWith('t')
    sim.scheduler.pause()
    const held = hold(sim, 't', 'held', key)
    const ended = errorOf(held)
    const other = sim.scheduler.defer('t', 'other', key)
    release(sim, held)
    expect([held.state, other.state]).toEqual(['cancelled', 'ready'])
    expect(held.snapshot().error).toMatchObject({
      code: 'ERR_SIDEWORK_DEDUPLICATED',
      message: expect.stringContaining(other.id),
    })
    expect(await ended).toMatchObject({ cause: { code: 'ERR_SIDEWORK_DEDUPLICATED' } })
    expect(sim.scheduler.defer('t', 'again', key).id).toBe(other.id)
  })

  it("in mode 'last' hands its payload to the job that has not started", () => {
    const sim = simWith('t')
    sim.scheduler.pause()
    const other = sim.scheduler.defer('t', 'other', last)
    const held = hold(sim, 't', 'held', last)
    release(sim, held)
    expect(held.state).toBe('cancelled')
    sim.scheduler.resume()
    sim.advance(10)
    expect([sim.payloads, other.state]).toEqual([['held'], 'completed'])
  })

  it("in mode 'last' hands its payload over also when the bytes of the queue are used up", () => {
    const sim = makeSim({ scheduler: { maxQueuedBytes: 100 } })
    sim.task('t')
    sim.scheduler.pause()
    const other = sim.scheduler.defer('t', 'x', last)
    const held = hold(sim, 't', 'y'.repeat(90), last)
    release(sim, held)
    expect(held.state).toBe('cancelled')
    expect(sim.scheduler.stats().queuedBytes).toBe(92)
    sim.scheduler.resume()
    sim.advance(10)
    expect([sim.payloads, other.state]).toEqual([['y'.repeat(90)], 'completed'])
  })

  it("in mode 'last' follows the job that has started, so that the latest payload is not lost", () => {
    const sim = makeSim()
    sim.task('t', { takesMs: 100 })
    sim.scheduler.defer('t', 'running', last)
    sim.advance(10)
    const held = hold(sim, 't', 'held', last)
    const later = hold(sim, 't', 'later', last)
    release(sim, held)
    expect(held.state).toBe('blocked')
    release(sim, later)
    expect([held.state, later.state]).toEqual(['blocked', 'cancelled'])
    sim.advance(300)
    expect(sim.payloads).toEqual(['running', 'later'])
    expect(held.state).toBe('completed')
  })
})
