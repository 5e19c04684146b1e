import { describe, expect, it } from 'vitest'
import packageJson from '../package.json' with { type: 'json' }

/** The values, not the types, that each subpath exports. */
const names: Record<string, readonly string[]> = {
  sidework: [
    'ClosedError',
    'JobError',
    'OptionError',
    'PayloadError',
    'PayloadTooLargeError',
    'PermanentError',
    'QueueFullError',
    'ResultError',
    'ResultTimeoutError',
    'RetryLater',
    'SideworkError',
    'Snooze',
    'ThreadStartError',
    'UnknownTaskError',
    'createScheduler',
    'defineTask',
    'formatStats',
    'isSettled',
  ],
  'sidework/express': ['admit', 'closeOnSignal', 'idempotent', 'jobsRouter', 'sidework'],
  'sidework/client': ['followJob'],
  'sidework/testing': ['createTestScheduler', 'perform'],
  'sidework/testing/matchers': ['matchers'],
  'sidework/metrics': ['metrics'],
  'sidework/opentelemetry': ['traceJobs'],
  'sidework/cron': ['createCron'],
  'sidework/thread': [],
}

describe('the built package exports', () => {
  it('these subpaths and no other', () => {
    const subpaths = Object.keys(packageJson.exports).map((path) => path.replace(/^\./, 'sidework'))
    expect(subpaths).toEqual([...Object.keys(names), 'sidework/package.json'])
  })

  it.each(Object.entries(names))('from %s exactly its public names', async (subpath, expected) => {
    // Resolved by Node, through the package's own exports, as a user would get it.
    const url = import.meta.resolve(subpath)
    expect(url).toMatch(/\/dist\//)
    const exported: object = await import(/* @vite-ignore */ url)
    expect(Object.keys(exported).sort()).toEqual(expected)
  })

  it('the same from sidework in a thread', async () => {
    const url = new URL(`../${packageJson.exports['.']['sidework-thread']}`, import.meta.url).href
    const inThreads = (await import(/* @vite-ignore */ url)) as Record<string, unknown>
    const outside = (await import(/* @vite-ignore */ import.meta.resolve('sidework'))) as Record<
      string,
      unknown
    >
    expect(Object.keys(inThreads)).toEqual(Object.keys(outside))
    const others = Object.keys(outside).filter((name) => inThreads[name] !== outside[name])
    expect(others).toEqual(['createScheduler'])
  })
})
