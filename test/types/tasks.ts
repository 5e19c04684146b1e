/** Compile-time checks of '.': every line below must compile, every marked one must not. */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { RequestDefer } from '../../src/express/index.js'
import {
  createScheduler,
  defineTask,
  type Job,
  type LogLevel,
  type Scheduler,
  type Task,
  type ThreadExitReason,
} from '../../src/index.js'

/** Compiles only where both types are the same. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const exactly =
  <A>() =>
  <B>(_value: B, ..._same: Same<A, B> extends true ? [] : ['another type']) =>
    undefined

const resize = defineTask('types.resize', async ({ file }: { file: string }) => ({ width: file.length }))
const tick = defineTask('types.tick', async () => 1)
const maybe = defineTask('types.maybe', (at?: { at: number }) => at?.at ?? 0)
const choice = defineTask('types.choice', ({ size }: { size: 'small' | 'large' }) => size)

export function defer(scheduler: Scheduler, request: Express.Request) {
  // That the scheduler's own fits here shows that both take and answer the same.
  const { flow, chain, batch } = request.defer
  const extra = { flow, chain, batch, discard: () => 0 }
  const both: RequestDefer[] = [request.defer, Object.assign(scheduler.defer, extra)]
  for (const defer of both) {
    const resized = defer(resize, { file: 'a' }, { priority: 'high', delay: '5m' })
    exactly<Job<{ width: number }>>()(resized)
    const ticked = defer(tick)
    exactly<Job<number>>()(ticked)
    defer(tick, undefined, { delay: 5 })
    const counted = defer(maybe)
    exactly<Job<number>>()(counted)
    defer(maybe, { at: 1 })
    defer(maybe, undefined, { attempts: 1 })
    defer(choice, { size: 'small' })
    const inline = defer(async ({ attempt }) => [attempt])
    exactly<Job<number[]>>()(inline)
    const late = defer(() => 'a', { delay: '1m' })
    exactly<Job<string>>()(late)
    const named = defer('types.resize', { file: 'a' }, { id: 'mine' })
    exactly<Job>()(named)
    defer('types.tick')

    // @ts-expect-error -- the payload's type is the task's
    defer(resize, { file: 1 })
    // @ts-expect-error -- a field too many is a mistake in the payload
    defer(resize, { file: 'a', width: 1 })
    // @ts-expect-error -- a payload is needed
    defer(resize)
    // @ts-expect-error -- a payload is needed
    defer(resize, undefined, { delay: 1 })
    // @ts-expect-error -- this task has no payload
    defer(tick, { file: 'a' })
    // @ts-expect-error -- the payload's type is the task's
    defer(maybe, { at: 'noon' })
    // @ts-expect-error -- one of two sizes
    defer(choice, { size: 'medium' })
    // @ts-expect-error -- no such option
    defer(resize, { file: 'a' }, { prio: 1 })
    // @ts-expect-error -- no such option
    defer(() => 1, { file: 'a' })
    // @ts-expect-error -- a closure has no payload
    defer((payload: { file: string }) => payload.file, { file: 'a' })
    // @ts-expect-error -- no such option
    defer('types.resize', { file: 'a' }, { prio: 1 })
    // @ts-expect-error -- a duration has a unit
    defer(tick, undefined, { delay: 'soon' })
    // @ts-expect-error -- neither a task nor its name nor a closure
    defer({ name: 'types.resize' }, { file: 'a' })
    // @ts-expect-error -- the result's type is the task's
    resized.result().then((result) => result.height)
  }
}

export async function jobs(scheduler: Scheduler) {
  const job = scheduler.defer(resize, { file: 'a' })
  const awaited = await job
  exactly<Job<{ width: number }>>()(awaited)
  const result = await job.result({ timeout: '5s' })
  exactly<{ width: number }>()(result)
  const unknown: Job = job
  // @ts-expect-error -- a job of any result is no job of this result
  const other: Job<string> = unknown
  // @ts-expect-error -- a job is not a promise
  job.then(() => other)
  scheduler.jobs({ task: resize })
  // @ts-expect-error -- no such filter
  scheduler.jobs({ status: 'ready' })
  // @ts-expect-error -- no such option
  createScheduler({ workers: 4 })
}

/** Works with any payload: the caller's types are enough. */
export function deferTwice<I, R>(scheduler: Scheduler, task: Task<I, R>, payload: I): Job<R>[] {
  return [scheduler.defer(task, payload), scheduler.defer(task, payload, { delay: '1m' })]
}

export function variance() {
  const any: Task[] = [resize, tick, maybe, choice]
  const wide: Task<{ file: string; width: number }, object> = resize
  const none: Task<undefined> = maybe
  const nothing: Task<undefined> = tick
  // @ts-expect-error -- it needs a file
  const empty: Task<object> = resize
  // @ts-expect-error -- it needs a file
  const noPayload: Task<void> = resize
  // @ts-expect-error -- its result has no height
  const tall: Task<{ file: string }, { height: number }> = resize
  return [any, wide, none, nothing, empty, noPayload, tall]
}

export const children = defineTask('types.children', async (_payload: void, context) => {
  await context.defer(resize, { file: 'a' }, { delay: '1m' })
  await context.defer(tick)
  await context.defer(maybe)
  await context.defer('types.resize', { file: 'a' })
  // @ts-expect-error -- the payload's type is the task's
  await context.defer(resize, { file: 1 })
  // @ts-expect-error -- a payload is needed
  await context.defer(resize)
  // @ts-expect-error -- a signal cannot reach across threads
  await context.defer(tick, undefined, { signal: context.signal })
  await context.defer(tick, undefined, { backoff: { type: 'fixed', delay: '1m' } })
  // @ts-expect-error -- nor can a function
  await context.defer(tick, undefined, { backoff: () => 5 })
  // @ts-expect-error -- a ratio is a number
  context.progress('half')
})

type Json = string | number | boolean | null | Json[] | { [key: string]: Json }
interface Photo {
  readonly id: string & { readonly brand: 'PhotoId' }
  title?: string
  size: readonly [width: number, height: number]
  tags: readonly string[]
  bytes: Uint8Array | Buffer
  more: Record<string, unknown>
  any: any
}

export const json = [
  defineTask('types.photo', (photo: Photo) => photo),
  defineTask('types.json', async (value: Json) => value),
  defineTask('types.unknown', (value: unknown) => value),
  defineTask('types.any', (value: any) => value),
  defineTask('types.void', async () => undefined),
  defineTask('types.never', () => Promise.reject(new Error('never'))),
  defineTask('types.union', (value: Photo | string | undefined) => [value]),
]

export function notJson() {
  // @ts-expect-error -- a Date
  defineTask('types.x', (_payload: { at: Date }) => 1)
  // @ts-expect-error -- a Date in one of several forms
  defineTask('types.x', (_payload: { at: string } | { on: Date }) => 1)
  // @ts-expect-error -- a Date that may be absent
  defineTask('types.x', (_payload: { at?: Date }) => 1)
  // @ts-expect-error -- a Map
  defineTask('types.x', (_payload: Map<string, string>) => 1)
  // @ts-expect-error -- a Set in an array
  defineTask('types.x', (_payload: { seen: Set<string> }[]) => 1)
  // @ts-expect-error -- a bigint
  defineTask('types.x', (_payload: { amount: bigint }) => 1)
  // @ts-expect-error -- a symbol
  defineTask('types.x', (_payload: symbol) => 1)
  // @ts-expect-error -- a function
  defineTask('types.x', (_payload: { done: () => void }) => 1)
  // @ts-expect-error -- an object with a method
  defineTask('types.x', (_payload: { toJSON(): string }) => 1)
  // @ts-expect-error -- a request
  defineTask('types.x', (_payload: Express.Request) => 1)
  // @ts-expect-error -- a Response
  defineTask('types.x', () => fetch('http://localhost'))
  // @ts-expect-error -- a Response
  defineTask('types.x', async () => ({ page: await fetch('http://localhost') }))
  // @ts-expect-error -- a Map
  defineTask('types.x', (_payload: { of: Map<string, number> }) => 1)
  // @ts-expect-error -- a Set as result
  defineTask('types.x', () => new Set(['a']))
  // @ts-expect-error -- a Date as result
  defineTask('types.x', async () => new Date(0))
  // @ts-expect-error -- a Map as result
  defineTask('types.x', () => new Map([['a', 1]]))
  // @ts-expect-error -- a bigint as result
  defineTask('types.x', () => 1n)
  // @ts-expect-error -- a function as result
  defineTask('types.x', () => () => 1)
}

declare const schema: StandardSchemaV1<{ at: string }, { at: number }>
declare const dates: StandardSchemaV1<string, Date>

const validated = defineTask('types.validated', (payload) => ({ later: payload.at + 1 }), {
  input: schema,
  orderingKey: ({ at }) => String(at + 1),
})
exactly<Task<{ at: string }, { later: number }>>()(validated)
export const annotated = defineTask('types.annotated', async ({ at }: { at: number }) => at, {
  input: schema,
})
exactly<Task<{ at: string }, number>>()(annotated)

export function schemas(scheduler: Scheduler) {
  scheduler.defer(validated, { at: 'noon' })
  // @ts-expect-error -- the caller's type is the schema's input
  scheduler.defer(validated, { at: 12 })
  // @ts-expect-error -- the handler's payload is the schema's output
  defineTask('types.x', ({ at }: { at: string }) => at, { input: schema })
  // @ts-expect-error -- the output is serialised, so it must be JSON
  defineTask('types.x', (at) => at.getTime(), { input: dates })
}

export function options() {
  defineTask('types.keyed', ({ user }: { user: string }) => user, {
    orderingKey: ({ user }) => user,
    attempts: 3,
  })
  // @ts-expect-error -- no such field
  defineTask('types.x', ({ user }: { user: string }) => user, { orderingKey: ({ name }) => name })
  // @ts-expect-error -- no such option
  defineTask('types.x', () => 1, { retries: 3 })
  // @ts-expect-error -- no such lane
  defineTask('types.x', () => 1, { lane: 'gpu' })
  // @ts-expect-error -- a duration has a unit
  defineTask('types.x', () => 1, { timeout: 'long' })
}

/** What a wrapper of `log`, or a `switch` over the reasons, needs to name. */
export function named(scheduler: Scheduler, level: LogLevel) {
  defineTask('types.level', async (_: undefined, { log }) => log[level]('a line'))
  scheduler.on('thread:exited', ({ reason }) => exactly<ThreadExitReason>()(reason))
}

/** An option that does not fit is told at the option, also when the handler takes its context. */
export const mistakenOptions = [
  defineTask('types.mistaken', async ({ x }: { x: string }, { id }) => x + id, {
    // @ts-expect-error -- no such option
    attempt: 3,
  }),
  defineTask('types.mistaken-too', async ({ x }: { x: string }, { id }) => x + id, {
    // @ts-expect-error -- a string is no duration
    timeout: process.env['X'] ?? '1m',
  }),
]
