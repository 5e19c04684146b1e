/** What a thread of the virtual world says, and when: ends of executions in lots, everything else behind them, in order. */
import { addBusy } from '../../src/threads/claims.js'
import type { Ending, FromThread } from '../../src/threads/protocol.js'
import type { VirtualWorld } from './world.js'

/** A cpu thread with short jobs reports about as often. */
const reportEveryMs = 1

interface Speaker {
  readonly lane: string
  readonly number: number
  readonly shared: Int32Array | undefined
}

interface ReportsPort {
  /** In its next turn, if it is alive then. */
  soon(task: () => void): void
  copy(message: FromThread): FromThread
  /** The scheduler reads it. */
  hear(message: FromThread): void
}

export class FakeReports {
  readonly #thread: Speaker
  readonly #world: VirtualWorld
  readonly #port: ReportsPort
  /** Said, and not read yet. */
  #outbox: FromThread[] = []
  #unsent: { token: number; ending: Ending }[] = []
  #reportedAt = 0
  #willReport = false

  constructor(thread: Speaker, world: VirtualWorld, port: ReportsPort) {
    this.#thread = thread
    this.#world = world
    this.#port = port
  }

  /** Delivers at once what has been said, as a real port does. */
  drain(): void {
    for (let next = this.#outbox.shift(); next !== undefined; next = this.#outbox.shift())
      this.#port.hear(next)
  }

  say(message: FromThread): void {
    this.#outbox.push(this.#port.copy(message))
    this.#world.plan(`from:${this.#thread.number}`, 0, () => {
      const next = this.#outbox.shift()
      if (next !== undefined) this.#port.hear(next)
    })
  }

  /** What is finished is told first. */
  tell(message: FromThread): void {
    this.report()
    this.say(message)
  }

  /** An idle thread begins to work. */
  begin(): void {
    this.#reportedAt = this.#world.clock.now()
  }

  /** An execution is over, which the next report tells. */
  ended(token: number, ending: Ending): void {
    this.#unsent.push({ token, ending })
  }

  reportIfDue(): void {
    if (this.#world.clock.now() - this.#reportedAt > reportEveryMs) this.report()
  }

  reportSoon(): void {
    if (this.#willReport) return
    this.#willReport = true
    this.#port.soon(() => this.report())
  }

  report(): void {
    this.#willReport = false
    if (this.#unsent.length === 0) return
    const unsent = this.#unsent
    this.#unsent = []
    const { lane, shared } = this.#thread
    if (shared !== undefined) addBusy(shared, this.#world.clock.now() - this.#reportedAt)
    this.#reportedAt = this.#world.clock.now()
    if (lane === 'cpu' && unsent.every(({ ending }) => ending === null)) this.say(unsent.length)
    else {
      const tokens = unsent.map(({ token }) => token)
      this.say({ kind: 'ended', tokens, endings: unsent.map(({ ending }) => ending) })
    }
  }
}
