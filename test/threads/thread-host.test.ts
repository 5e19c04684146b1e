import { describe, expect, it } from 'vitest'
import { JobIds, idKeyBytes } from '../../src/job/job-ids.js'
import { payloadLimits } from '../../src/job/payload-limits.js'
import type { FromThread, LogMessage } from '../../src/threads/protocol.js'
import { ThreadHost } from '../../src/threads/thread-host.js'

/** The host of a thread's attempts, and what arrived on the other side. */
function makeHost() {
  const arrived: FromThread[] = []
  const send = (message: FromThread): void => void arrived.push(structuredClone(message))
  const ports = { now: () => 0, after: () => () => undefined, yieldNow: () => Promise.resolve() }
  const host = new ThreadHost(send, new JobIds(new Uint8Array(idKeyBytes)), payloadLimits(), ports)
  return { host, arrived }
}

describe('a line that a handler logs', () => {
  function logged(
    ...line: [fieldsOrMessage: object | string, message?: string]
  ): Pick<LogMessage, 'fields' | 'message'> {
    const { host, arrived } = makeHost()
    host.log(1, 'info', ...line)
    return arrived[0] as LogMessage // what else could it be
  }

  it.each([
    [() => undefined, expect.stringContaining('=>')],
    [Symbol('s'), 'Symbol(s)'],
    [{ a: 1n }, '{"a":"1"}'],
    [new Date(0), '"1970-01-01T00:00:00.000Z"'],
    [null, 'null'],
    [7, '7'],
  ])('arrives with text for a message that is none: %o', (message, text) => {
    expect(logged({ n: 1 }, message as never)).toMatchObject({ fields: '{"n":1}', message: text as string })
  })

  it('arrives also for a function whose own toString throws', () => {
    const broken = Object.assign(() => 'code', { toString() { throw new Error('do not look') } }) // prettier-ignore
    expect(logged(broken as never)).toMatchObject({ message: expect.stringContaining('=>') as string })
  })

  it('is cut after 16,384 characters', () => {
    const long = 'x'.repeat(10_000_000)
    const cut = `${'x'.repeat(16_384)}…`
    expect(logged(long)).toMatchObject({ message: cut })
    expect(logged({}, long)).toMatchObject({ message: cut })
  })

  it('shows an error as data, whatever its own toJSON would tell', () => {
    const error = Object.assign(new Error('refused'), {
      code: 'E_REFUSED',
      toJSON: () => ({ config: { headers: { authorization: 'secret' } } }),
    })
    for (const fields of [error, { err: error }]) {
      const { err } = JSON.parse(logged(fields).fields ?? '') as { err: object }
      expect(Object.keys(err)).toEqual(['name', 'message', 'code', 'stack'])
      expect(err).toMatchObject({ name: 'Error', message: 'refused', code: 'E_REFUSED' })
    }
  })
})

describe('context.defer with an option that cannot reach across threads', () => {
  it.each([
    [
      { orderingKey: () => 'k' },
      /^context\.defer got an option that cannot reach across threads: .* could not be cloned\. Give/,
    ],
    [{ dedupe: { key: Symbol('k') } }, /Symbol\(k\)/],
    [{ backoff: () => 1 }, /a signal or a backoff function/],
  ])('says so: %o', async (options, message) => {
    const { host, arrived } = makeHost()
    const refusal = expect.objectContaining({ code: 'ERR_SIDEWORK_OPTION', message: expect.stringMatching(message) as string }) // prettier-ignore
    await expect(async () => host.defer(1, 't', undefined, options as never)).rejects.toThrow(refusal)
    // Refused before it was sent: whoever called it tells the scheduler.
    const told = { kind: 'defer', token: 1, call: 0, task: 't', refused: { code: 'ERR_SIDEWORK_OPTION' } }
    expect(arrived).toEqual('backoff' in options ? [] : [told])
  })
})
