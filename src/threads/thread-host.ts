/** What attempts say, put into messages; and the answers to their defers. One per thread, one for the main lane. */
import { fromCallerOf, OptionError, SideworkError } from '../errors.js'
import type { JobIds } from '../job/job-ids.js'
import { encodePayload, type EncodedPayload } from '../job/payload.js'
import type { PayloadLimits } from '../job/payload-limits.js'
import { serializeError } from '../job/serialized-error.js'
import type { DeferredChild, DeferredFlow } from '../task/context.js'
import type { DeferOptions } from '../task/defer-options.js'
import type { TaskDefinition } from '../task/define-task.js'
import { inStep, tasksOf, type FlowPlan, type PlannedStep } from '../task/flow-plan.js'
import { registeredTasks } from '../task/registry.js'
import { nameOf, taskNameOf } from '../task/task-name.js'
import { show } from '../options.js'
import { countOf, deferChannel, traceDeferLater } from '../task/trace-channels.js'
import { validateInput } from '../task/validate-input.js'
import type { AttemptHost, RefusedDefer } from './attempt.js'
import type { DeferFlowMessage, DeferMessage, DeferredMessage, FromThread, LogMessage } from './protocol.js'
import { errorOfRefusal } from './refusal.js'

/** Most characters of one log line's message, and of the JSON of its fields. */
const maxLogText = 16 * 1024

export class ThreadHost implements AttemptHost {
  readonly #send: (message: FromThread) => void
  readonly #ports: Pick<AttemptHost, 'yieldNow' | 'after' | 'now'>
  readonly #ids: JobIds
  readonly #payloadLimits: PayloadLimits
  readonly #sensitiveByDefault: boolean
  /** Defers whose answers have not come. */
  readonly #calls = new Map<number, (answer: DeferredMessage) => void>()
  #lastCall = 0

  /** @param sensitiveByDefault whether tasks are sensitive that do not say */
  constructor(
    send: (message: FromThread) => void,
    ids: JobIds,
    payloadLimits: PayloadLimits,
    ports: Pick<AttemptHost, 'yieldNow' | 'after' | 'now'>,
    sensitiveByDefault = false,
  ) {
    this.#send = send
    this.#payloadLimits = payloadLimits
    this.#sensitiveByDefault = sensitiveByDefault
    this.#ids = ids
    this.#ports = ports
  }

  idOf(seq: number, cell: number): string {
    return this.#ids.of(seq, cell)
  }

  now(): number {
    return this.#ports.now()
  }

  after(delayMs: number, task: () => void): () => void {
    return this.#ports.after(delayMs, task)
  }

  yieldNow(token: number): Promise<void> {
    return this.#ports.yieldNow(token)
  }

  progress(token: number, value: EncodedPayload): void {
    this.#send({ kind: 'progress', token, value })
  }

  heartbeat(token: number): void {
    this.#send({ kind: 'heartbeat', token })
  }

  pauseLimit(token: number, name: string, delayMs: number): void {
    this.#send({ kind: 'pause-limit', token, name, delayMs })
  }

  log(token: number, level: LogMessage['level'], fieldsOrMessage: object | string, message?: string): void {
    if (typeof fieldsOrMessage !== 'object')
      this.#send({ kind: 'log', token, level, message: lineOf(fieldsOrMessage) })
    else {
      const text = message === undefined ? undefined : { message: lineOf(message) }
      this.#send({ kind: 'log', token, level, fields: fieldsJson(fieldsOrMessage), ...text })
    }
  }

  defer(
    token: number,
    task: unknown,
    payload: unknown,
    options: DeferOptions | undefined,
  ): Promise<DeferredChild> {
    const name = nameOf('context.defer', task)
    const plain = plainOptions(options)
    const handed = handOver(name, task, payload, this.#payloadLimits)
    const send = (carrier?: Readonly<Record<string, string>>): Promise<DeferredChild> =>
      this.#ask(
        {
          kind: 'defer',
          token,
          task: name,
          ...handed,
          options: plain,
          ...(carrier === undefined ? undefined : { carrier }),
        },
        ({ id = '', deduplicated = false }) => ({ id, deduplicated }),
      )
    if (!deferChannel.hasSubscribers) return send()
    return traceDeferLater({ task: name, count: 1, isSensitive: this.#mayBeSensitive([task]) }, send)
  }

  deferFlow(token: number, plan: FlowPlan): Promise<DeferredFlow> {
    const sent = {
      ...plan,
      steps: plan.steps.map((step) => sendable(step, this.#payloadLimits)),
      callback: plan.callback && sendable(plan.callback, this.#payloadLimits),
    }
    const send = (carrier?: Readonly<Record<string, string>>): Promise<DeferredFlow> =>
      this.#ask(
        { kind: 'defer-flow', token, plan: sent, ...(carrier === undefined ? undefined : { carrier }) },
        ({ id = '', jobs = {} }) => ({ id, jobs }),
      )
    if (!deferChannel.hasSubscribers) return send()
    const isSensitive = this.#mayBeSensitive(tasksOf(plan))
    return traceDeferLater({ task: `(${plan.kind})`, count: countOf(plan), isSensitive }, send)
  }

  refuse(token: number, { task, count, of, error }: RefusedDefer): Promise<never> {
    this.#tellRefused(token, task, error)
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- as it was thrown, whatever it is
    const reject = (): Promise<never> => Promise.reject(error)
    if (!deferChannel.hasSubscribers) return reject()
    return traceDeferLater({ task, count, isSensitive: this.#mayBeSensitive(of) }, reject)
  }

  /** Whether one of the tasks is sensitive, as far as this thread knows: one that it does not have may be. */
  #mayBeSensitive(tasks: readonly unknown[] | undefined): boolean {
    if (tasks === undefined) return true
    return tasks.some((task) => {
      const { options } = definitionOf(taskNameOf(task), task)
      return options === undefined || (options.sensitive ?? this.#sensitiveByDefault)
    })
  }

  #tellRefused(token: number, task: string, error: unknown): void {
    const code = error instanceof SideworkError ? error.code : undefined
    this.#send({ kind: 'defer', token, call: 0, task, refused: { code } })
  }

  /** @throws (rejects) what the scheduler refuses it with */
  async #ask<A>(
    message: Omit<DeferMessage, 'call'> | Omit<DeferFlowMessage, 'call'>,
    read: (answer: DeferredMessage) => A,
  ): Promise<A> {
    const call = ++this.#lastCall
    const answer = await new Promise<DeferredMessage>((resolve) => {
      this.#calls.set(call, resolve)
      this.#tell({ ...message, call })
    })
    // After an await the stack goes on with whoever awaits the defer.
    // eslint-disable-next-line @typescript-eslint/unbound-method -- never called
    if (answer.error !== undefined) throw fromCallerOf(this.#ask, errorOfRefusal(answer.error))
    return read(answer)
  }

  /** @throws OptionError when an option cannot be told to another thread */
  #tell(message: DeferMessage | DeferFlowMessage): void {
    try {
      this.#send(message)
    } catch (error) {
      this.#calls.delete(message.call)
      const { name, message: why } = serializeError(error)
      if (name !== 'DataCloneError') throw error
      const refusal = new OptionError(
        `context.defer got an option that cannot reach across threads: ${why} Give plain data.`,
      )
      const { token } = message
      this.#tellRefused(token, message.kind === 'defer' ? message.task : `(${message.plan.kind})`, refusal)
      throw refusal
    }
  }

  /** The scheduler's answer to a defer. */
  answer(message: DeferredMessage): void {
    const answered = this.#calls.get(message.call)
    this.#calls.delete(message.call)
    answered?.(message)
  }
}

/** What can reach across threads. @throws OptionError for what cannot */
function plainOptions(options: object | undefined): object {
  const { signal, ...plain } = (options ?? {}) as DeferOptions
  if (signal !== undefined || typeof plain.backoff === 'function') {
    throw new OptionError(
      'context.defer got a signal or a backoff function, which cannot reach across threads. ' +
        'Give { type, delay } as backoff, or say it in the options of the task.',
    )
  }
  return plain
}

/** A step with its task's name and its payload encoded. */
function sendable(step: PlannedStep, limits: PayloadLimits): PlannedStep {
  const { task, options } = step
  const name: unknown = typeof task === 'object' ? (task as { name?: unknown } | null)?.name : task
  if (typeof name !== 'string')
    throw new OptionError(`Step ${show(step.ref)} has ${show(task)} as task. Give a task or its name.`)
  const plain = options === undefined ? undefined : (plainOptions(options) as PlannedStep['options'])
  const handed = inStep(step.ref, () => handOver(name, task, step.payload, limits))
  return { ...step, payload: undefined, ...handed, task: name, options: plain }
}

/**
 * A payload encoded: where this side knows the task, what its schema makes of it, which may take what is no JSON.
 * @throws what `validateInput` does, and what the schema throws; PayloadError, PayloadTooLargeError
 */
function handOver(
  name: string,
  task: unknown,
  payload: unknown,
  limits: PayloadLimits,
): Pick<DeferMessage, 'payload' | 'isValidated'> {
  const input = definitionOf(name, task).options?.input
  const encoded = encodePayload(validateInput(name, input, payload), limits, name)
  return {
    ...(encoded === undefined ? undefined : { payload: encoded }),
    ...(input === undefined ? undefined : { isValidated: true }),
  }
}

/** What this thread knows of a task. The scheduler finds it by its name, so that the one of this name counts here too. */
function definitionOf(name: string, task: unknown): Partial<TaskDefinition> {
  return registeredTasks().get(name) ?? (Object(task) as Partial<TaskDefinition>) // or a name, or anything else
}

/** A message of bounded length; of what is no text, some text. */
function lineOf(message: unknown): string {
  const text = textOf(message)
  return text.length > maxLogText ? `${text.slice(0, maxLogText)}…` : text
}

function textOf(message: unknown): string {
  if (typeof message === 'object' && message !== null) return plainJson(message)
  // Whatever `toString` a function has of its own.
  return typeof message === 'function' ? Function.prototype.toString.call(message) : String(message)
}

/** The fields as JSON of an object, errors as data. A list, or what says by its `toJSON` that it is no object, is the field `value`. */
function fieldsJson(fields: object): string {
  const plain = plainJson(fields)
  const json = plain.startsWith('{') ? plain : `{"value":${plain}}`
  return json.length > maxLogText ? JSON.stringify({ truncated: json.slice(0, maxLogText) }) : json
}

/** Never throws, whatever it holds. */
function plainJson(value: object): string {
  try {
    const json: unknown = JSON.stringify(value instanceof Error ? { err: value } : value, plainField)
    return typeof json === 'string' ? json : 'null' // its `toJSON` answers nothing
  } catch (error) {
    return JSON.stringify({ unreadableFields: serializeError(error).message })
  }
}

/** @param this what holds the value: an error may have a `toJSON` of its own, with the secrets of its request say */
function plainField(this: Record<string, unknown>, key: string, value: unknown): unknown {
  const held = this[key]
  if (held instanceof Error) return serializeError(held)
  return typeof value === 'bigint' ? String(value) : value
}
