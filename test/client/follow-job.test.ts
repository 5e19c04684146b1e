import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import express from 'express'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { followJob, type FinalStatus } from '../../src/client/follow-job.js'
import { jobsRouter } from '../../src/express/index.js'
import { defineTask, PermanentError } from '../../src/index.js'
import { makeScheduler } from '../express/make-scheduler.js'
import { serve, signal } from '../express/serving.js'

/** A browser's EventSource, driven by the test. */
class TestSource extends EventTarget {
  static readonly all: TestSource[] = []
  readonly CLOSED = 2
  readyState = 1
  onerror: (() => void) | undefined
  readonly url: string
  constructor(url: string) {
    super()
    this.url = url
    TestSource.all.push(this)
  }
  tell(name: 'state' | 'progress' | 'closed' | 'beat', status: object) {
    if (this.readyState !== 2) this.dispatchEvent(new MessageEvent(name, { data: JSON.stringify(status) }))
  }
  /** The connection is lost, and the browser connects again. */
  lose() {
    this.readyState = 0
    this.onerror?.()
  }
  /** The server refused, and the browser gives up. */
  refuse() {
    this.readyState = 2
    this.onerror?.()
  }
  close() {
    this.readyState = 2
  }
}

/** What the server answers next; `undefined` when it cannot be reached. */
function fetchAnswers(...answers: (Response | undefined)[]) {
  const fetched = vi.fn(() => {
    const answer = answers.shift()
    return answer === undefined ? Promise.reject(new TypeError('fetch failed')) : Promise.resolve(answer)
  })
  vi.stubGlobal('fetch', fetched)
  return fetched
}
const answer = (status: object) => new Response(JSON.stringify(status))
const status = (state: string, more: object = {}) => ({ id: 'j', state, ...more })
const onlySource = () => TestSource.all.at(-1) ?? expect.unreachable()

afterEach(() => {
  for (const source of TestSource.all) source.tell('state', status('completed')) // frees its stream
  TestSource.all.length = 0
  vi.unstubAllGlobals()
  vi.useRealTimers()
})

describe('by event stream', () => {
  beforeEach(() => vi.stubGlobal('EventSource', TestSource))

  it('resolves with the final status and tells each change and each progress once', async () => {
    const [progress, states]: [unknown[], unknown[]] = [[], []]
    const end = followJob('/jobs/j', {
      onProgress: (value, { state }) => progress.push([value, state]),
      onStatus: ({ state }) => states.push(state),
    })
    const source = onlySource()
    expect(source.url).toBe('/jobs/j/events')
    source.tell('state', status('running'))
    source.tell('progress', status('running', { progress: { ratio: 0.5 } }))
    source.lose()
    source.readyState = 1
    source.tell('state', status('running', { progress: { ratio: 0.5 } })) // a new stream begins with what is known
    source.tell('state', status('retrying', { progress: { ratio: 0.5 } }))
    source.tell('closed', status('retrying'))
    source.tell('progress', status('running', { progress: { ratio: 0.6 } }))
    source.tell('state', status('completed', { progress: { ratio: 0.6 }, result: 42 }))
    expect(await end).toEqual(status('completed', { progress: { ratio: 0.6 }, result: 42 }))
    expect(progress).toEqual([
      [{ ratio: 0.5 }, 'running'],
      [{ ratio: 0.6 }, 'running'],
    ])
    expect(states).toEqual(['running', 'running', 'retrying', 'running', 'completed'])
    expect(source.readyState).toBe(2)
  })

  it.each(['failed', 'cancelled', 'expired'])(
    'a job that is %s is an end, not a rejection',
    async (state) => {
      const end = followJob('/jobs/j')
      onlySource().tell('state', status(state, { error: { name: 'Error', message: 'no' } }))
      expect(await end).toMatchObject({ state, error: { message: 'no' } })
    },
  )

  it.each([404, 410])('a server that lost the job (%d) ends it as gone, as last known', async (code) => {
    const states: unknown[] = []
    const end = followJob('/jobs/j', { onStatus: ({ state }) => states.push(state) })
    onlySource().tell('progress', status('running', { progress: 0.5 }))
    const fetched = fetchAnswers(new Response('', { status: code }))
    onlySource().lose()
    expect(fetched).not.toHaveBeenCalled()
    onlySource().refuse()
    expect(await end).toEqual({ id: 'j', state: 'gone', progress: 0.5 })
    expect(states).toEqual(['running', 'gone'])
  })

  it('opens a stream anew that has been silent for three heartbeats, and goes on where it was', async () => {
    vi.useFakeTimers()
    const states: unknown[] = []
    const end = followJob('/jobs/j', { onStatus: ({ state }) => states.push(state) })
    const first = onlySource()
    first.tell('state', status('running'))
    for (let beats = 0; beats < 10; beats++) {
      await vi.advanceTimersByTimeAsync(15_000)
      first.tell('beat', {})
    }
    await vi.advanceTimersByTimeAsync(44_999)
    expect([TestSource.all.length, first.readyState]).toEqual([1, 1])
    await vi.advanceTimersByTimeAsync(1) // the connection is half open: nothing comes, and nobody says so
    expect([TestSource.all.length, first.readyState]).toEqual([2, 2])
    onlySource().tell('state', status('running'))
    onlySource().tell('state', status('completed'))
    expect((await end).state).toBe('completed')
    expect(states).toEqual(['running', 'completed'])
    expect(vi.getTimerCount()).toBe(0)
  })

  it('takes no notice of what is no status', async () => {
    const told: unknown[] = []
    const end = followJob('/jobs/j', { onStatus: ({ state }) => told.push(state) })
    for (const data of ['', '<html>', 'null', '{}'])
      onlySource().dispatchEvent(new MessageEvent('state', { data }))
    onlySource().tell('state', status('completed'))
    expect((await end).state).toBe('completed')
    expect(told).toEqual(['completed'])
  })

  it('asks every second where the stream is refused', async () => {
    vi.useFakeTimers()
    const fetched = fetchAnswers(
      answer(status('ready')),
      answer(status('running')),
      answer(status('completed')),
    )
    const end = followJob('/jobs/j')
    onlySource().refuse()
    await vi.advanceTimersByTimeAsync(999)
    expect(fetched).toHaveBeenCalledTimes(1)
    await vi.advanceTimersByTimeAsync(1001)
    expect(fetched).toHaveBeenCalledTimes(3)
    expect((await end).state).toBe('completed')
    expect(vi.getTimerCount()).toBe(0)
  })

  it('four jobs of a page have streams, the fifth is asked after until one is free', async () => {
    const fetched = fetchAnswers(answer(status('completed')), answer(status('completed')))
    const ends = Array.from({ length: 4 }, (_, n) => followJob(`/jobs/${n}`))
    expect(TestSource.all).toHaveLength(4)
    expect((await followJob('/jobs/4')).state).toBe('completed')
    expect(fetched).toHaveBeenCalledTimes(1)
    TestSource.all[0]?.tell('state', status('failed'))
    await ends[0]
    void followJob('/jobs/5')
    expect(TestSource.all).toHaveLength(5)
    expect(fetched).toHaveBeenCalledTimes(1)
  })

  it('keeps the query of the URL', () => {
    void followJob('/jobs/j?key=k')
    expect(onlySource().url).toBe('/jobs/j/events?key=k')
    void followJob('/jobs/j?back=/a?b=c')
    expect(onlySource().url).toBe('/jobs/j/events?back=/a?b=c')
  })

  it('a URL that is none rejects, and takes no stream from others', async () => {
    class RefusingSource {
      constructor(url: string) {
        throw new SyntaxError(`${url} is no URL`)
      }
    }
    vi.stubGlobal('EventSource', RefusingSource)
    for (let n = 0; n < 4; n++) await expect(followJob('http://')).rejects.toThrow('is no URL')
    vi.stubGlobal('EventSource', TestSource)
    void followJob('/jobs/j')
    expect(TestSource.all).toHaveLength(1)
  })

  it('tells nothing more once a callback has ended it', async () => {
    const controller = new AbortController()
    const told: unknown[] = []
    const end = followJob('/jobs/j', {
      onProgress: () => controller.abort(new Error('enough')),
      onStatus: ({ state }) => told.push(state),
      signal: controller.signal,
    })
    onlySource().tell('progress', status('running', { progress: 0.5 }))
    await expect(end).rejects.toThrow('enough')
    expect(told).toEqual([])
  })

  it('a signal ends the following with its reason, whenever it comes', async () => {
    const controller = new AbortController()
    const end = followJob('/jobs/j', { signal: controller.signal })
    controller.abort(new Error('enough'))
    await expect(end).rejects.toThrow('enough')
    expect(onlySource().readyState).toBe(2)
    await expect(followJob('/jobs/j', { signal: controller.signal })).rejects.toThrow('enough')
    expect(TestSource.all).toHaveLength(1)
  })

  it('what a callback throws rejects the promise and ends the stream', async () => {
    const end = followJob('/jobs/j', {
      onStatus: () => {
        throw new Error('broken page')
      },
    })
    onlySource().tell('state', status('running'))
    await expect(end).rejects.toThrow('broken page')
    expect(onlySource().readyState).toBe(2)
  })
})

describe('by polling, where there is no EventSource', () => {
  beforeEach(() => {
    vi.stubGlobal('EventSource', undefined)
    vi.useFakeTimers()
  })

  it('asks an unreachable or busy server ever more rarely, and goes on when it is back', async () => {
    const bad = [
      undefined,
      new Response('', { status: 502 }),
      new Response('', { status: 429 }),
      new Response('<!'),
    ]
    const fetched = fetchAnswers(
      ...bad,
      new Response('', { status: 408 }),
      answer({}), // of somebody else: no status
      answer(status('running')),
      answer(status('failed')),
    )
    const end = followJob('/jobs/j')
    const calls: number[] = []
    for (const seconds of [2, 4, 8, 16, 30, 30, 1]) {
      await vi.advanceTimersByTimeAsync(seconds * 1000 - 1)
      calls.push(fetched.mock.calls.length)
      await vi.advanceTimersByTimeAsync(1)
    }
    expect(calls).toEqual([1, 2, 3, 4, 5, 6, 7])
    expect((await end).state).toBe('failed')
  })

  it('rejects when the server refuses to tell', async () => {
    fetchAnswers(new Response('', { status: 401 }))
    await expect(followJob('/jobs/j')).rejects.toThrow('/jobs/j answered 401.')
  })

  /** A server that takes each question and answers none, until the question is given up. */
  const neverAnswers = () => {
    const fetched = vi.fn(
      (url: string, { signal: given }: { signal: AbortSignal }) =>
        new Promise<Response>((_, reject) => {
          given.addEventListener('abort', () => reject(new DOMException(`${url} was given up`, 'AbortError')))
        }),
    )
    vi.stubGlobal('fetch', fetched)
    return fetched
  }

  it('gives up a question that has no answer after three heartbeats, and asks again', async () => {
    const fetched = neverAnswers()
    const end = followJob('/jobs/j')
    await vi.advanceTimersByTimeAsync(45_000 + 1999) // the connection is half open: nothing comes, and nobody says so
    expect(fetched).toHaveBeenCalledTimes(1)
    const next = fetchAnswers(answer(status('completed')))
    await vi.advanceTimersByTimeAsync(1)
    expect(next).toHaveBeenCalledTimes(1)
    expect((await end).state).toBe('completed')
    expect(vi.getTimerCount()).toBe(0)
  })

  it('a signal ends a question under way', async () => {
    const fetched = neverAnswers()
    const controller = new AbortController()
    const end = followJob('/jobs/j', { signal: controller.signal })
    controller.abort(new Error('enough'))
    await expect(end).rejects.toThrow('enough')
    expect(fetched.mock.calls[0]?.[1].signal.aborted).toBe(true)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(fetched).toHaveBeenCalledTimes(1)
    expect(vi.getTimerCount()).toBe(0)
  })

  it.each([undefined, null, ''])('says what is missing when there is no URL: %s', async (none) => {
    const fetched = fetchAnswers()
    await expect(followJob(none as unknown as string)).rejects.toThrow('followJob needs the URL of a job.')
    expect(fetched).not.toHaveBeenCalled()
  })

  it('a signal ends the waiting between two questions', async () => {
    fetchAnswers(answer(status('running')))
    const controller = new AbortController()
    const end = followJob('/jobs/j', { signal: controller.signal })
    await vi.advanceTimersByTimeAsync(10)
    controller.abort(new Error('enough'))
    await expect(end).rejects.toThrow('enough')
    expect(vi.getTimerCount()).toBe(0)
  })
})

it('follows a job of a real router to its end', async () => {
  vi.stubGlobal('EventSource', undefined)
  const scheduler = makeScheduler()
  const { url } = await serve(express().use('/jobs', jobsRouter(scheduler)))
  const [first, end] = [signal<FinalStatus>(), signal<string>()]
  scheduler.defer(() => end.promise, { id: 'j' })
  const followed = followJob(`${url}/jobs/j`, { onStatus: first.resolve })
  expect((await first.promise).state).toMatch(/ready|running/)
  end.resolve('done')
  expect(await followed).toMatchObject({ id: 'j', task: '(inline)', state: 'completed', attempt: 1 })
  expect(await followJob(`${url}/jobs/unknown`)).toEqual({ state: 'gone' })
})

describe('a flow of a real router', () => {
  it.each(['failed', 'completed'] as const)('is followed to its end: %s', async (ending) => {
    vi.stubGlobal('EventSource', undefined)
    const scheduler = makeScheduler()
    const { url } = await serve(express().use('/jobs', jobsRouter(scheduler)))
    const end = signal()
    const task = defineTask(
      `follow.${ending}`,
      async () => {
        await end.promise
        if (ending === 'failed') throw new PermanentError('no')
      },
      { lane: 'main' },
    )
    const batch = scheduler.batch(task, [undefined, undefined], { onFailure: 'cancel' })
    const [first, progress] = [signal<FinalStatus>(), [] as unknown[]]
    const followed = followJob(`${url}/jobs/${batch.id}`, {
      onStatus: first.resolve,
      onProgress: (value) => progress.push(value),
    })
    expect(await first.promise).toMatchObject({ flow: 'batch', state: 'running' })
    end.resolve()
    const last = {
      total: 2,
      completed: ending === 'completed' ? 2 : 0,
      failed: ending === 'failed' ? 2 : 0,
      ratio: 1,
    }
    expect(await followed).toMatchObject({ id: batch.id, state: ending, progress: last })
    expect(progress).toEqual([{ total: 2, completed: 0, failed: 0, ratio: 0 }, last])
  })
})

it('the code of the document runs', async () => {
  const readme = await readFile(new URL('../../src/client/README.md', import.meta.url), 'utf8')
  const fences = [...readme.matchAll(/^```(?:ts|js) (\w+)\n([^]*?)^```$/gm)].map(([, name, code = '']) => ({
    name,
    code,
  }))
  const [follow, served, ...others] = fences
  expect([follow?.name, served?.name, others]).toEqual(['follow', 'serve', []])

  const app = express()
  const resolved = import.meta.resolve('sidework/client')
  const serveCode = (served?.code ?? '').replace("import.meta.resolve('sidework/client')", 'resolved')
  new Function('app', 'fileURLToPath', 'resolved', serveCode)(app, fileURLToPath, resolved)
  const scheduler = makeScheduler()
  app.use('/jobs', jobsRouter(scheduler))
  const { url } = await serve(app)
  const response = await fetch(`${url}/sidework-client.js`)
  expect(response.headers.get('content-type')).toContain('javascript')
  expect(await response.text()).toContain('export function followJob')

  vi.stubGlobal('EventSource', undefined)
  scheduler.defer(({ progress }) => progress({ ratio: 0.5 }), { id: 'j' })
  await scheduler.idle()
  const shown: unknown[] = []
  const body = (follow?.code ?? '').replace(/^import .*$/m, '')
  const run = new Function('followJob', 'links', 'show', `return (async () => {${body}})()`)
  await run(followJob, { self: `${url}/jobs/j` }, (value: unknown) => shown.push(value))
  expect(shown).toEqual([0.5, 'completed'])
})

it('the built module is one file without imports, of less than 2 KB gzipped', async () => {
  const module = await readFile(new URL('../../dist/client/follow-job.js', import.meta.url), 'utf8')
  expect(module).not.toMatch(/^\s*import\b|\bimport\(|\brequire\(/m)
  expect(gzipSync(module).length).toBeLessThan(2048)
})
