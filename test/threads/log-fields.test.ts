import { expect, it } from 'vitest'
import { idKeyBytes, JobIds } from '../../src/job/job-ids.js'
import { payloadLimits } from '../../src/job/payload-limits.js'
import type { FromThread } from '../../src/threads/protocol.js'
import { BoundedLog } from '../../src/threads/bounded-log.js'
import { ThreadHost } from '../../src/threads/thread-host.js'

/** The fields of a log line as the scheduler gets them. @param bindings of a child that logs it */
function sent(fields: object, bindings?: object): unknown {
  const messages: FromThread[] = []
  const ports = { yieldNow: () => Promise.resolve(), after: () => () => undefined, now: () => 0 }
  const ids = new JobIds(new Uint8Array(idKeyBytes))
  const host = new ThreadHost((message) => void messages.push(message), ids, payloadLimits(), ports)
  const log = new BoundedLog(
    (level, ...line) => host.log(1, level, ...line),
    () => 0,
  )
  if (bindings === undefined) log.info(fields)
  else log.child(bindings).info(fields)
  const [message] = messages
  if (typeof message !== 'object' || message.kind !== 'log') return expect.unreachable()
  return JSON.parse(message.fields ?? '')
}

it('the fields of a log line over 16 KiB of JSON are cut, and stand as text', () => {
  const most = 16 * 1024
  const fitting = { text: 'x'.repeat(most - '{"text":""}'.length) }
  expect(sent(fitting)).toEqual(fitting)
  const text = 'x'.repeat(most)
  expect(sent({ text })).toEqual({ truncated: JSON.stringify({ text }).slice(0, most) })
})

it('what JSON does not have costs no line', () => {
  const circular: { self?: object } = {}
  circular.self = circular
  expect(sent({ amount: 7n })).toEqual({ amount: '7' })
  expect(sent(circular)).toEqual({ unreadableFields: expect.stringContaining('circular') as string })
  expect(sent(new RangeError('no'))).toMatchObject({ err: { name: 'RangeError', message: 'no' } })
})

it('lists, and what its own toJSON makes no object, are the field `value`, also beside those of a child', () => {
  const date = new Date(0)
  const value = '1970-01-01T00:00:00.000Z'
  expect(sent(date)).toEqual({ value })
  expect(sent(new URL('https://a.example/b'))).toEqual({ value: 'https://a.example/b' })
  expect(sent(['a', 7n])).toEqual({ value: ['a', '7'] })
  expect(sent({ toJSON: () => undefined })).toEqual({ value: null })
  expect(sent(date, { step: 'a' })).toEqual({ step: 'a', value })
  expect(sent(['a'], { step: 'a' })).toEqual({ step: 'a', value: ['a'] })
  expect(sent({ n: 1 }, date)).toEqual({ value, n: 1 })
  const text = 'x'.repeat(20_000)
  expect(sent({ toJSON: () => text })).toEqual({ truncated: `{"value":"${text}`.slice(0, 16 * 1024) })
})

it('those of a child are cut together with the line’s own, shown as data, and cost no line either', () => {
  const most = 16 * 1024
  const half = 'x'.repeat(most / 2)
  expect(sent({ b: half }, { a: half })).toEqual({
    truncated: JSON.stringify({ a: half, b: half }).slice(0, most),
  })
  expect(sent(new RangeError('no'), { amount: 7n })).toMatchObject({
    amount: '7',
    err: { name: 'RangeError' },
  })
  const error = Object.assign(new Error('no'), { toJSON: () => 'secret' })
  expect(sent({ n: 1 }, { cause: error })).toMatchObject({ n: 1, cause: { name: 'Error', message: 'no' } })
  const throws = { get secret(): never { throw new Error('do not look') } } // prettier-ignore
  expect(sent(throws, { a: 1 })).toEqual({ unreadableFields: 'do not look' })
})
