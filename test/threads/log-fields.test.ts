import { expect, it } from 'vitest'
import { idKeyBytes, JobIds } from '../../src/job/job-ids.js'
import { payloadLimits } from '../../src/job/payload-limits.js'
import type { FromThread } from '../../src/threads/protocol.js'
import { ThreadHost } from '../../src/threads/thread-host.js'

/** The fields of a log line as the scheduler gets them. */
function sent(fields: object): unknown {
  const messages: FromThread[] = []
  const ports = { yieldNow: () => Promise.resolve(), after: () => () => undefined, now: () => 0 }
  const ids = new JobIds(new Uint8Array(idKeyBytes))
  new ThreadHost((message) => void messages.push(message), ids, payloadLimits(), ports).log(1, 'info', fields)
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
