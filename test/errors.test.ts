/** What every error of the package promises: a stable code, a base class, a message that says what to do. */
import { expect, it } from 'vitest'
import * as sidework from '../src/index.js'
import * as errors from '../src/errors.js'

const { SideworkError } = sidework
/** Everything that a user can meet as a class. */
const classes = Object.entries(sidework).filter(
  (entry): entry is [string, typeof errors.SideworkError] =>
    typeof entry[1] === 'function' && entry[1].prototype instanceof Error,
)

it('every error class that is exported extends SideworkError', () => {
  expect(classes.map(([name]) => name)).toContain('PayloadError')
  expect(classes.filter(([, { prototype }]) => !(prototype instanceof Error))).toEqual([])
  const strangers = classes.filter(
    ([, Class]) => (Class as unknown) !== SideworkError && !(Class.prototype instanceof SideworkError),
  )
  expect(strangers.map(([name]) => name)).toEqual([])
})

const scheduler = (options: sidework.SchedulerOptions = {}): sidework.Scheduler =>
  sidework.createScheduler({ logger: false, ...options })
const never = sidework.defineTask('errors.never', () => undefined, { lane: 'main' })

it.each<[string, string, number | undefined, () => unknown]>([
  ['OptionError', 'OPTION', undefined, () => sidework.createScheduler({ maxQueued: -1 })],
  ['OptionError', 'KEY', undefined, () => scheduler().defer(never, undefined, { orderingKey: '' })],
  ['UnknownTaskError', 'UNKNOWN_TASK', undefined, () => scheduler().defer('errors.nobody')],
  ['PayloadError', 'PAYLOAD', 422, () => scheduler().defer('errors.never', () => 1)],
  ['PayloadTooLargeError', 'PAYLOAD_TOO_LARGE', 413, () => scheduler({ maxPayloadBytes: 9 }).defer('errors.never', '0123456789')],
  ['QueueFullError', 'QUEUE_FULL', 503, () => {
    const full = scheduler({ maxQueued: 1 })
    full.pause()
    full.defer(never)
    full.defer(never)
  }],
  ['ClosedError', 'CLOSED', 503, () => {
    const closed = scheduler()
    void closed.close()
    closed.defer(never)
  }],
])('%s has its code (%s), its status (%s), and a message of two sentences', (name, code, status, call) => {
  let thrown: unknown
  try {
    call()
  } catch (error) {
    thrown = error
  }
  expect(thrown).toBeInstanceOf(SideworkError)
  expect(thrown).toMatchObject({ name, code: `ERR_SIDEWORK_${code}` })
  expect((thrown as { status?: number }).status).toBe(status)
  expect((thrown as Error).message).toMatch(/^\S.+[^.]\.( .+\.)+$/)
}) // prettier-ignore
