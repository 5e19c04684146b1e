/** `perform`: one handler, once, without a scheduler, through the codec that threads and schedulers use. */
import { OptionError, ResultError } from '../errors.js'
import { idKeyBytes, JobIds } from '../job/job-ids.js'
import { decodePayload, encodePayload } from '../job/payload.js'
import { payloadLimits } from '../job/payload-limits.js'
import { show } from '../options.js'
import type { TaskContext, TaskLog } from '../task/context.js'
import type { Handler, Task, TaskDefinition } from '../task/define-task.js'
import { readTaskPolicy } from '../task/task-policy.js'
import { validateInput } from '../task/validate-input.js'
import { Attempt } from '../threads/attempt.js'
import { execute } from '../threads/execute.js'
import type { Ending, FromThread } from '../threads/protocol.js'
import { ThreadHost } from '../threads/thread-host.js'

/** Members of a context in place of its own; of a `log` only what the handler calls. */
export type ContextOverrides = Partial<Omit<TaskContext, 'log'>> & { readonly log?: Partial<TaskLog> }

/** What a handler threw, so that it can be rethrown as it was. */
interface Thrown {
  readonly error: unknown
}

/**
 * Calls a task's handler once, with its payload and result encoded and decoded as between threads, and the schema of
 * `input` asked. What a thread would refuse is refused here.
 *
 * The context is the engine's own: `progress` and `log` check what they get and tell nobody, `defer` answers
 * `{ id, deduplicated: false }` and runs nothing. `overrides` replaces members of it, by spies for example.
 * @returns the result, as whoever waits for it would see it
 * @throws (rejects) what the handler threw, as it was; PayloadError; ResultError for a result that is not JSON or too
 *   large; OptionError for what is no task, or an override of what is no member of the context
 * @example
 * await perform(sendWelcome, { email: 'asha@example.com' }, { attempt: 3 })
 */
export async function perform<R>(task: Task<undefined, R>): Promise<R>
export async function perform<I, R>(
  task: Task<I, R>,
  payload: NoInfer<I>,
  overrides?: ContextOverrides,
): Promise<R>
export async function perform(
  task: unknown,
  payload?: unknown,
  overrides: ContextOverrides = {},
): Promise<unknown> {
  const definition = definitionOf(task)
  const { name, options } = definition
  const policy = readTaskPolicy(name, options, {})
  const given = decodePayload(encodePayload(validateInput(name, policy.input, payload)))
  const attempt = new Attempt(
    makeHost(),
    1,
    0,
    0,
    'performed',
    name,
    1,
    policy.maxAttempts,
    undefined,
    undefined,
  )
  let thrown: Thrown | undefined
  const run: Handler<unknown, unknown> = async (input, context) => {
    try {
      return await definition.run(input, overriding(context, overrides))
    } catch (error) {
      thrown = { error }
      throw error
    }
  }
  const ending = await execute({ ...definition, run }, given, attempt, policy.sensitive)
  if (thrown !== undefined) throw thrown.error
  return resultOf(name, ending)
}

function definitionOf(task: unknown): TaskDefinition {
  const isTask =
    typeof task === 'object' && task !== null && typeof (task as { run?: unknown }).run === 'function'
  if (!isTask) throw new OptionError(`perform got ${show(task)}. Give a task made by defineTask.`)
  return task as TaskDefinition // only defineTask makes what has a `run`
}

/** A host whose scheduler takes everything and does nothing. */
function makeHost(): ThreadHost {
  let children = 0
  const host = new ThreadHost(
    (message: FromThread) => {
      if (typeof message === 'number') return
      const id = (): string => `performed-child-${++children}`
      if (message.kind === 'defer' && message.refused === undefined)
        host.answer({ kind: 'deferred', call: message.call, id: id(), deduplicated: false })
      if (message.kind === 'defer-flow') {
        const { call, plan } = message
        const jobs = Object.fromEntries(plan.steps.map(({ ref }) => [ref, id()]))
        host.answer({ kind: 'deferred', call, id: id(), ...(plan.kind === 'batch' ? undefined : { jobs }) })
      }
    },
    new JobIds(new Uint8Array(idKeyBytes)),
    payloadLimits(),
    { yieldNow: () => Promise.resolve(), after: () => () => undefined, now: () => 0 },
  )
  return host
}

/** Getters of the context read its private fields, so a copy of it would not do. */
function overriding(context: TaskContext, overrides: ContextOverrides): TaskContext {
  for (const name of Object.keys(overrides)) {
    if (!(name in context))
      throw new OptionError(
        `perform got '${name}', which no handler's context has. Give what a handler reads of it, such as { attempt: 3 }.`,
      )
  }
  return new Proxy(context, {
    get: (target, name) =>
      (Object.hasOwn(overrides, name) ? Reflect.get(overrides, name) : Reflect.get(target, name)) as unknown,
  })
}

function resultOf(task: string, ending: Ending): unknown {
  if (ending === null) return undefined
  if (typeof ending === 'string') return decodePayload(ending)
  if (ending.kind !== 'completed') return undefined // what was thrown has been thrown
  if (ending.resultRefused === undefined) return decodePayload(ending.result)
  throw new ResultError(`The result of task '${task}' would be dropped: ${ending.resultRefused}`)
}
