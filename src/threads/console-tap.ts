/**
 * What a thread prints, passed on to the scheduler's logger: at most 100 lines a second of at most 8,192 characters each.
 * What is more is dropped in the thread, so that a handler that shouts costs the main thread nothing, and its number told.
 */
import type { ConsoleMessage } from './protocol.js'

const linesPerSecond = 100
const longestLine = 8_192

export interface ConsolePort {
  send(message: ConsoleMessage): void
  /** Precise ms. */
  now(): number
  /** Runs `task` every so many ms, without keeping the thread alive; returns what stops it. */
  every(intervalMs: number, task: () => void): () => void
  /** Token of the attempt that prints, if it is known. */
  token(): number | undefined
}

/** Lets a bounded number of lines through per second. */
export class ConsoleGate {
  readonly #port: ConsolePort
  #left = linesPerSecond
  #secondAt = -Infinity
  #dropped = 0
  #stop: (() => void) | undefined

  constructor(port: ConsolePort) {
    this.#port = port
  }

  line(level: ConsoleMessage['level'], text: string): void {
    if (this.#port.now() - this.#secondAt >= 1000) this.#nextSecond()
    if (this.#left === 0) {
      this.#dropped++
      this.#stop ??= this.#port.every(1000, () => this.#nextSecond())
      return
    }
    this.#left--
    this.#port.send({ kind: 'console', level, text: clip(text), token: this.#port.token() ?? 0 })
  }

  #nextSecond(): void {
    this.#secondAt = this.#port.now()
    this.#left = linesPerSecond
    this.#stop?.()
    this.#stop = undefined
    if (this.#dropped === 0) return
    const text = `a thread printed more than ${linesPerSecond} lines in a second: ${this.#dropped} were dropped`
    this.#dropped = 0
    this.#port.send({ kind: 'console', level: 'warn', text, token: 0 })
  }
}

function clip(text: string): string {
  const line = text.endsWith('\n') ? text.slice(0, -1) : text
  const left = line.length - longestLine
  return left <= 0 ? line : `${line.slice(0, longestLine)} … (${left} characters more)`
}

/** Sends `console.*` and whatever else is written to stdout and stderr of this thread through the gate. */
export function tapConsole(gate: ConsoleGate): void {
  let level: ConsoleMessage['level'] | undefined
  redirect(process.stdout, (text) => gate.line(level ?? 'info', text))
  redirect(process.stderr, (text) => gate.line(level ?? 'error', text))
  for (const method of ['debug', 'warn'] as const) {
    const print = console[method].bind(console)
    console[method] = (...args: unknown[]): void => {
      level = method
      try {
        print(...args)
      } finally {
        level = undefined
      }
    }
  }
}

function redirect(stream: NodeJS.WriteStream, line: (text: string) => void): void {
  const write = (chunk: string | Uint8Array, encoding?: unknown, done?: unknown): boolean => {
    line(typeof chunk === 'string' ? chunk : Buffer.from(chunk.subarray(0, 4 * longestLine)).toString())
    const written = typeof encoding === 'function' ? encoding : done
    if (typeof written === 'function') process.nextTick(written)
    return true
  }
  stream.write = write
}
