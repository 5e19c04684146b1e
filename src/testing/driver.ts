/**
 * Goes through virtual time: whatever is due is done, whoever is at work is waited for, then the clock goes on to what is
 * due next. Calls are served one after another.
 */
import { TestError } from '../errors.js'
import type { AttemptsAtWork } from './attempts-at-work.js'
import { tick, turn, type TestWorld } from './test-world.js'

/** More rounds than this at one instant is a loop without end. */
const mostRounds = 50_000
/** The event loop turns at least once for so many things that fall due: others live there too. */
const turnEvery = 64

/** What is done about attempts that say nothing for too long: an error, or time goes on without them. */
type Stuck = 'refuse' | 'go on'

export class Driver {
  readonly #world: TestWorld
  readonly #work: AttemptsAtWork
  readonly #patienceMs: number
  #last: Promise<unknown> = Promise.resolve()
  /** Rounds since time last passed. */
  #rounds = 0
  #instant = 0

  constructor(world: TestWorld, work: AttemptsAtWork, patienceMs: number) {
    this.#world = world
    this.#work = work
    this.#patienceMs = patienceMs
  }

  /** Does what is due now. @throws (rejects) TestError when an attempt says nothing for too long */
  run(): Promise<void> {
    return this.#inTurn(() => this.#moveTo(this.#world.clock.now(), 'refuse'))
  }

  /** Lets virtual time pass. */
  advance(ms: number): Promise<void> {
    return this.#inTurn(() => this.#moveTo(this.#world.clock.now() + ms, 'go on'))
  }

  /** Lets as much virtual time pass as `end` takes. */
  until<T>(end: Promise<T>): Promise<T> {
    return this.#inTurn(() => this.#moveUntil(end))
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(() => {
      this.#rounds = 0
      return work()
    })
    // Whoever asked for it is told of its failure; the next one goes on.
    this.#last = done.then(nothing, nothing)
    return done
  }

  async #moveTo(end: number, stuck: Stuck): Promise<void> {
    this.#world.move()
    try {
      await turn()
      for (let before = -1; before !== this.#world.happened;) {
        await this.#goThrough(end, stuck)
        // Whoever heard of a result may have gone on to defer another job.
        before = this.#world.happened
        await turn()
      }
      this.#world.clock.goTo(end)
    } finally {
      this.#world.stand()
    }
  }

  async #goThrough(end: number, stuck: Stuck): Promise<void> {
    await this.#rest(stuck)
    for (let fired = 1; this.#world.nextAt <= end; fired++) {
      this.#world.fireNext()
      await this.#rest(stuck)
      if (fired % turnEvery === 0) await turn()
    }
  }

  async #moveUntil<T>(end: Promise<T>): Promise<T> {
    const waiting = { isDone: false }
    const done = (): void => {
      waiting.isDone = true
    }
    end.then(done, done)
    this.#world.move()
    try {
      await this.#rest('go on')
      // Closing has a deadline and starting has one, so there is something that falls due until it is done.
      while (!waiting.isDone && this.#world.nextAt < Infinity) {
        this.#world.fireNext()
        await this.#rest('go on')
      }
    } finally {
      this.#world.stand()
    }
    return end
  }

  /** Until nothing is left to do at this instant. */
  async #rest(stuck: Stuck): Promise<void> {
    for (;;) {
      this.#countRound()
      const before = this.#world.happened
      this.#world.flush()
      await tick()
      if (this.#world.happened !== before) continue
      const isAny = this.#work.isAny
      if (!isAny && !this.#world.awaitsTurn) return
      await turn()
      if (this.#world.happened !== before || !isAny) continue
      if (await this.#work.wait()) continue
      if (stuck === 'refuse') throw this.#tooSilent()
      this.#work.giveUp()
    }
  }

  #countRound(): void {
    const now = this.#world.clock.now()
    if (now > this.#instant) this.#rounds = 0
    this.#instant = now
    if (++this.#rounds > mostRounds) throw endless()
  }

  #tooSilent(): TestError {
    return new TestError(
      `run() has waited ${this.#patienceMs} ms for what neither ends nor says anything: ${this.#work.describe()}. ` +
        'If it waits for virtual time, have it wait by scheduler.sleep() and use advance(); ' +
        'if its work really takes so long, raise `patience`.',
    )
  }
}

function endless(): TestError {
  return new TestError(
    `Jobs have gone round ${mostRounds} times without any virtual time passing. ` +
      'Look for a handler that yields or snoozes for 0 ms for ever, or a job that defers itself.',
  )
}

function nothing(): void {}
