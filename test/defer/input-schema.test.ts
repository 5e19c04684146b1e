import type { StandardSchemaV1 } from '@standard-schema/spec'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { createScheduler, defineTask, type PayloadError } from '../../src/index.js'

type Answer = ReturnType<StandardSchemaV1<{ at: string }, { at: number }>['~standard']['validate']>

/** `{ at: '12' }` comes out as `{ at: 12 }`. */
function readAt(value: unknown): Awaited<Answer> {
  const { at } = value as { at?: unknown }
  const hour = typeof at === 'string' ? Number(at) : NaN
  if (Number.isInteger(hour)) return { value: { at: hour } }
  return {
    issues: [
      { message: 'Expected an hour', path: ['at'] },
      { message: 'Expected a day', path: [{ key: 'days' }, 0] },
    ],
  }
}

function schemaOf(answer: (value: unknown) => Answer) {
  const asked: unknown[] = []
  const validate = (value: unknown) => (asked.push(value), answer(value))
  const schema: StandardSchemaV1<{ at: string }, { at: number }> = {
    '~standard': { version: 1, vendor: 'test', validate },
  }
  return { schema, asked }
}

function makeScheduler() {
  const scheduler = createScheduler({
    logger: false,
    defaults: { lane: 'main', backoff: { type: 'fixed', delay: 0 } },
  })
  onTestFinished(() => void scheduler.close({ timeout: 0 }))
  return scheduler
}

const refusalOf = (defer: () => unknown): unknown => {
  try {
    defer()
  } catch (error) {
    return error
  }
  throw new Error('nothing was refused')
}

describe('an input schema', () => {
  it('is asked once, at defer, whatever the number of attempts', async () => {
    const { schema, asked } = schemaOf(readAt)
    const seen: unknown[] = []
    const task = defineTask(
      'schema.once',
      (payload, { attempt }) => {
        seen.push(payload)
        if (attempt < 3) throw new Error('not yet')
      },
      { input: schema, orderingKey: ({ at }) => `hour-${at + 1}` },
    )
    const job = makeScheduler().defer(task, { at: '12' })
    expect(asked).toEqual([{ at: '12' }])
    expect(job.snapshot()).toMatchObject({ payload: { at: 12 }, orderingKey: 'hour-13' })
    await job.result()
    expect(seen).toEqual([{ at: 12 }, { at: 12 }, { at: 12 }])
    expect(asked).toHaveLength(1)
  })

  it('that is not met is a PayloadError with status 422, every issue, and no job', () => {
    const scheduler = makeScheduler()
    const task = defineTask('schema.bad', () => undefined, { input: schemaOf(readAt).schema })
    expect(refusalOf(() => scheduler.defer(task, { at: 'noon' }))).toMatchObject({
      name: 'PayloadError',
      code: 'ERR_SIDEWORK_PAYLOAD',
      status: 422,
      path: 'payload.at',
      issues: [
        { message: 'Expected an hour', path: 'at' },
        { message: 'Expected a day', path: 'days.0' },
      ],
      message:
        "The payload for task 'schema.bad' is not valid: at: Expected an hour; days.0: Expected a day.",
    })
    expect(scheduler.stats().accepted).toBe(0)
  })

  it('that answers with a promise is refused, and its rejection harms nobody', async () => {
    const scheduler = makeScheduler()
    const unhandled = vi.fn()
    process.on('unhandledRejection', unhandled)
    onTestFinished(() => void process.off('unhandledRejection', unhandled))
    const { schema } = schemaOf(() => Promise.reject(new Error('no database')))
    const task = defineTask('schema.async', () => undefined, { input: schema })
    expect(refusalOf(() => scheduler.defer(task, { at: '12' }))).toMatchObject({
      code: 'ERR_SIDEWORK_SCHEMA_ASYNC',
    })
    expect(scheduler.stats().accepted).toBe(0)
    await new Promise((resolve) => setImmediate(resolve))
    expect(unhandled).not.toHaveBeenCalled()
  })

  it('whose output is not JSON is refused like any payload', () => {
    const { schema } = schemaOf(() => ({ value: { at: 1n as unknown as number } }))
    const task = defineTask('schema.bigint', () => undefined, { input: schema })
    expect(refusalOf(() => makeScheduler().defer(task, { at: '12' }))).toMatchObject({
      code: 'ERR_SIDEWORK_PAYLOAD',
      path: 'payload.at',
    })
  })

  it('that throws is told to the caller of defer, and nothing is stored', () => {
    const scheduler = makeScheduler()
    const { schema } = schemaOf(() => {
      throw new RangeError('broken schema')
    })
    const task = defineTask('schema.throws', () => undefined, { input: schema })
    expect(() => scheduler.defer(task, { at: '12' })).toThrow('broken schema')
    expect(scheduler.stats().accepted).toBe(0)
  })

  it.each([[undefined], [null], ['ok'], [{ issues: 'all' }]])(
    'that answers %j breaks its specification and is refused, naming the task',
    (answer) => {
      const { schema } = schemaOf(() => answer as never)
      const task = defineTask('schema.broken', () => undefined, { input: schema })
      expect(refusalOf(() => makeScheduler().defer(task, { at: '12' }))).toMatchObject({
        code: 'ERR_SIDEWORK_OPTION',
        message: expect.stringContaining("'schema.broken'"),
      })
    },
  )

  it('may be a function with the standard property, as in arktype', () => {
    const callable = Object.assign(() => undefined, schemaOf(readAt).schema)
    const task = defineTask('schema.callable', () => undefined, { input: callable })
    expect(makeScheduler().defer(task, { at: '12' }).snapshot().payload).toEqual({ at: 12 })
  })

  it.each([[{}], ['zod'], [{ '~standard': {} }]])('%j is refused as input', (input) => {
    const define = () => defineTask('schema.none', () => undefined, { input: input as never })
    expect(refusalOf(define)).toMatchObject({ code: 'ERR_SIDEWORK_OPTION' })
  })
})

it('a job is not thenable: to await it is not to wait for its end', async () => {
  const job = makeScheduler().defer(() => new Promise(() => undefined))
  expect('then' in job).toBe(false)
  expect(await job).toBe(job)
})

it('a payload with any number of issues, of any length, is refused with a short message and all issues', () => {
  const issues = Array.from({ length: 1_000 }, (_, n) => ({ message: 'x'.repeat(10_000), path: ['rows', n] }))
  const { schema } = schemaOf(() => ({ issues }))
  const task = defineTask('schema.flood', () => undefined, { input: schema })
  const error = refusalOf(() => makeScheduler().defer(task, { at: '1' })) as PayloadError
  expect(error.message.length).toBeLessThan(4_000)
  expect(error.message).toMatch(/rows\.0: x.*; rows\.9: x.*; and 990 more\.$/)
  expect([error.issues.length, error.path]).toEqual([1_000, 'payload.rows.0'])
})
