/** `perform`: what would break in a thread breaks in the test. */
import { describe, expect, it, vi } from 'vitest'
import { defineTask, PermanentError } from '../../src/index.js'
import { perform } from '../../src/testing/index.js'
import { testScheduler } from './kit.js'

describe('perform', () => {
  it('gives the handler a copy of the payload, and answers a copy of the result', async () => {
    const given = { list: [1], gone: undefined, bytes: new Uint8Array([1, 2]) }
    let seen: unknown
    const result = { ok: true, dropped: undefined }
    const task = defineTask('perform.copies', (payload: unknown) => {
      seen = payload
      return result as { ok: boolean }
    })
    const answer = await perform(task, given)
    expect(seen).toStrictEqual({ list: [1], bytes: new Uint8Array([1, 2]) })
    expect(answer).toStrictEqual({ ok: true })
    expect(answer).not.toBe(result)
  })

  it.each([[new Date(0)], [new Map()], [{ at: () => 1 }], [{ n: Number.NaN }], [[undefined]]])(
    'refuses a payload that no thread could get: %o',
    async (payload) => {
      const task = defineTask('perform.payload', (_: unknown) => 1)
      await expect(perform(task, payload)).rejects.toMatchObject({ code: 'ERR_SIDEWORK_PAYLOAD' })
    },
  )

  it('refuses a result that would be dropped', async () => {
    const task = defineTask('perform.result', () => ({ at: new Date(0) }) as unknown)
    await expect(perform(task)).rejects.toMatchObject({
      code: 'ERR_SIDEWORK_RESULT',
      message: expect.stringContaining("task 'perform.result' would be dropped") as string,
    })
  })

  it('asks the schema of the task, whose output is what the handler gets', async () => {
    const input = {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: (value: unknown) =>
          typeof value === 'string' ? { value: value.trim() } : { issues: [{ message: 'no text' }] },
      },
    } as const
    const task = defineTask('perform.schema', (text: string) => text, { input })
    expect(await perform(task, ' a ')).toBe('a')
    await expect(perform(task, 1 as never)).rejects.toMatchObject({
      code: 'ERR_SIDEWORK_PAYLOAD',
      issues: [{ message: 'no text', path: '' }],
    })
  })

  it('rejects with what the handler threw, as it was', async () => {
    const error = new PermanentError('not again')
    const task = defineTask('perform.throws', () => { throw error }) // prettier-ignore
    await expect(perform(task)).rejects.toBe(error)
    const nothing = defineTask('perform.throws-undefined', () => { throw undefined }) // prettier-ignore
    await expect(perform(nothing)).rejects.toBeUndefined()
  })

  it('lets members of the context be replaced, and keeps the others', async () => {
    const task = defineTask('perform.context', async (_: void, context) => {
      context.progress(0.5)
      const child = await context.defer('anything', { n: 1 })
      return [context.attempt, context.maxAttempts, context.task, context.signal.aborted, child.id]
    }, { attempts: 7 }) // prettier-ignore
    const progress = vi.fn()
    const answer = await perform(task, undefined, { attempt: 3, progress, signal: AbortSignal.abort() })
    expect(answer).toEqual([3, 7, 'perform.context', true, 'performed-child-1'])
    expect(progress).toHaveBeenCalledWith(0.5)
  })

  it('has a context that can be destructured and handed on, but not copied, as a scheduler has', async () => {
    const looks = defineTask('perform.copies', (_: void, context) => {
      const copy: object = { ...context, db: 'a database' }
      const { id, signal, log, progress, defer } = context
      return {
        copied: Object.keys(copy),
        missing: ['id', 'signal', 'log', 'progress', 'defer'].filter((name) => !(name in copy)),
        taken: [id, signal, log, progress, defer].map((member) => typeof member),
        text: JSON.stringify(context),
      }
    }) // prettier-ignore
    const performed = await perform(looks)
    expect(performed.missing).toEqual(['id', 'signal', 'log', 'progress', 'defer'])
    expect(performed.taken).toEqual(['string', 'object', 'object', 'function', 'function'])
    const scheduler = testScheduler()
    const job = scheduler.defer(looks)
    await scheduler.run()
    expect(await job.result()).toEqual(performed)
    const overridden = await perform(looks, undefined, { attempt: 3, log: console })
    expect(overridden.missing).toEqual(performed.missing)
    expect(JSON.parse(overridden.text)).toMatchObject({ attempt: 3 })
  })

  it('answers the flows that the handler defers, too', async () => {
    const task = defineTask('perform.flows', async (_: void, { defer }) => {
      const flow = await defer.flow({ a: { task: 'one' }, b: { task: 'two', after: ['a'] } })
      const chain = await defer.chain([{ task: 'one' }])
      const batch = await defer.batch('one', [1, 2], { callback: { task: 'two' } })
      return { flow: Object.keys(flow.jobs), chain: Object.keys(chain.jobs), batch: typeof batch.id }
    })
    expect(await perform(task)).toEqual({ flow: ['a', 'b'], chain: ['one'], batch: 'string' })
  })

  it('refuses what the engine refuses of a context, and an override of nothing', async () => {
    const task = defineTask('perform.progress', (_: void, { progress }) => progress(2))
    await expect(perform(task)).rejects.toMatchObject({ code: 'ERR_SIDEWORK_OPTION' })
    await expect(perform(task, undefined, { progres: vi.fn() } as object)).rejects.toThrow(
      "perform got 'progres'",
    )
    await expect(perform({} as never)).rejects.toThrow('Give a task made by defineTask')
  })
})
