/**
 * The `log` of one attempt. What is more than its budget is dropped where it is made, since a line costs the main thread a
 * message.
 */
import { format } from 'node:util'
import { OptionError } from '../errors.js'
import { serializeError } from '../job/serialized-error.js'
import { show } from '../options.js'
import type { LogLevel, LogMethod, TaskLog } from '../task/context.js'
import { LineBudget } from './line-budget.js'

type Write = (level: LogLevel, fieldsOrMessage: object | string, message?: string) => void

export class BoundedLog implements TaskLog {
  readonly trace: LogMethod
  readonly debug: LogMethod
  readonly info: LogMethod
  readonly warn: LogMethod
  readonly error: LogMethod
  readonly fatal: LogMethod
  readonly child: TaskLog['child']
  readonly #write: Write
  readonly #budget: LineBudget

  /**
   * @param now precise ms
   * @param budget of the log that it is a child of
   */
  constructor(
    write: Write,
    now: () => number,
    budget = new LineBudget((message) => write('warn', message), now),
  ) {
    this.#write = write
    this.#budget = budget
    this.trace = this.#bounded('trace')
    this.debug = this.#bounded('debug')
    this.info = this.#bounded('info')
    this.warn = this.#bounded('warn')
    this.error = this.#bounded('error')
    this.fatal = this.#bounded('fatal')
    this.child = (bindings) => new BoundedLog(adding(readBindings(bindings), write), now, budget)
  }

  /** Tells how many lines were dropped since it was last told. */
  tellDropped(): void {
    this.#budget.tellDropped()
  }

  #bounded(level: LogLevel): LogMethod {
    return (first: unknown, ...rest: unknown[]) => {
      if (!this.#budget.takes(level)) return
      if (typeof first === 'object' && first !== null) this.#write(level, first, formatted(rest))
      else
        this.#write(level, formatted(first === undefined || first === null ? rest : [first, ...rest]) ?? {})
    }
  }
}

/** A message with its arguments put in; undefined for none. */
function formatted([message, ...args]: readonly unknown[]): string | undefined {
  if (args.length === 0) return message as string | undefined // what is no text becomes some in thread-host.ts
  try {
    return format(message, ...args.map(shownError))
  } catch (error) {
    return `${typeof message === 'string' ? message : show(message)} (its arguments cannot be shown: ${serializeError(error).message})`
  }
}

/** An error as its stack: what else hangs on it, a request with its headers say, is nobody's to read. */
function shownError(arg: unknown): unknown {
  if (!(arg instanceof Error)) return arg
  const { name, message, stack } = serializeError(arg)
  return stack ?? `${name}: ${message}`
}

/** The bindings as they are now. @throws OptionError */
function readBindings(bindings: unknown): object {
  if (typeof bindings !== 'object' || bindings === null || Array.isArray(bindings))
    throw new OptionError(
      `log.child got ${show(bindings)}. Give the fields of its lines, such as { step: 'resize' }.`,
    )
  return { ...plain(bindings) }
}

/** Writes lines with the bindings among their fields; of two fields of one name the line's own counts. */
function adding(bindings: object, write: Write): Write {
  return (level, fieldsOrMessage, message) =>
    typeof fieldsOrMessage !== 'object'
      ? write(level, bindings, fieldsOrMessage)
      : write(level, new BoundFields(bindings, fieldsOrMessage), message)
}

/** Put together as the line is made JSON, where nothing that fields hold can throw at the handler. */
class BoundFields {
  readonly #bindings: object
  readonly #fields: object

  constructor(bindings: object, fields: object) {
    this.#bindings = bindings
    this.#fields = fields
  }

  toJSON(): object {
    return { ...this.#bindings, ...plain(this.#fields) }
  }
}

/** The fields that JSON would be made of. An error is the field `err`, as pino has it; what is no object, the field `value`. */
function plain(fields: object): object {
  if (fields instanceof Error) return { err: fields }
  const { toJSON } = fields as { toJSON?: unknown }
  const made: unknown = typeof toJSON === 'function' ? toJSON.call(fields) : fields
  return typeof made === 'object' && made !== null && !Array.isArray(made) ? made : { value: made }
}
