import { expect, it } from 'vitest'
import { JobIds, idKeyBytes } from '../../src/job/job-ids.js'
import { payloadLimits } from '../../src/job/payload-limits.js'
import type { TaskContext } from '../../src/task/context.js'
import type { RunMessage } from '../../src/threads/protocol.js'
import { SharedRunner } from '../../src/threads/shared-runner.js'
import type { RunnerPort } from '../../src/threads/solo-runner.js'
import { ThreadHost } from '../../src/threads/thread-host.js'
import { OpenBatch } from '../../src/threads/unpack.js'

const ports = { now: () => 0, after: () => () => undefined, yieldNow: () => Promise.resolve() }
const makeHost = () =>
  new ThreadHost(() => undefined, new JobIds(new Uint8Array(idKeyBytes)), payloadLimits(), ports)
const run: RunMessage = {
  kind: 'run', first: 1, tokens: [1], generation: 0, introduced: [[1, 't', 1, false]], task: 1, seqs: [1], cells: [0], payloads: 'null',
} // prettier-ignore

/** How a job ends whose handler is this. */
function ending(
  handler: (payload: unknown, context: TaskContext) => unknown,
  more: Partial<RunMessage> = {},
) {
  const batch = new OpenBatch({ ...run, ...more }, new Map())
  const attempt = batch.attemptAt(0, makeHost())
  return batch.execute(0, attempt, (name) => ({ name, run: handler as never, options: {} }))
}

it('a handler that returns a function with a then() is awaited', async () => {
  const query = Object.assign(() => undefined, {
    then: (resolve: (rows: number) => void) => void setImmediate(() => resolve(3)),
  })
  expect(await ending(() => query)).toBe('3')
})

it.each([
  [
    'an object',
    () => ({
      get then(): never {
        throw new Error('do not look')
      },
    }),
  ],
  [
    'a proxy',
    () =>
      new Proxy(
        {},
        {
          get: () => {
            throw new Error('do not look')
          },
        },
      ),
  ],
])(
  'a handler that returns %s whose `then` throws has done its work: only the result is dropped',
  (_what, make) => {
    expect(ending(make)).toEqual({
      kind: 'completed',
      resultRefused: expect.stringMatching(/^result/) as string,
    })
  },
)

it('a payload whose bytes find no memory fails the attempt, and nothing else', () => {
  const leaf = { path: [], bytes: { byteLength: 2 ** 53 - 1 } as Uint8Array<SharedArrayBuffer> }
  const bytes = { json: 'null', leaves: [leaf], sizeBytes: 0 }
  const extras = [{ at: 0, attempt: 1, maxAttempts: 1, bytes }]
  expect(ending(() => expect.unreachable('it has no payload'), { extras })).toMatchObject({
    kind: 'threw',
    permanent: false,
    error: { name: 'RangeError' },
  })
})

it('what a handler on a shared thread does when its signal aborts is its own doing', () => {
  const culprits: (number | undefined)[] = []
  const handler = (_: unknown, { signal }: TaskContext): Promise<never> => {
    signal.addEventListener('abort', () => culprits.push(runner.culprit()))
    return new Promise(() => undefined)
  }
  const port: RunnerPort = {
    send: () => undefined,
    now: ports.now,
    definitionOf: (name) => ({ name, run: handler as never, options: {} }),
    host: makeHost(),
    ended: () => undefined,
    readWaiting: () => undefined,
  }
  const runner = new SharedRunner(port)
  runner.receive({ ...run, first: 7, tokens: [7] })
  runner.abort(7, 'ERR_SIDEWORK_CANCELLED', 'enough')
  expect([culprits, runner.culprit()]).toEqual([[7], undefined])
})
