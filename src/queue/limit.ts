/**
 * A gate that ready jobs must pass to start: at most `concurrency` running, at most `limit` starts in any window of
 * length `per`, and nothing while paused. Windows slide: the gate remembers each start until it is `per` ago.
 */
import type { GatedGroup } from './gated-group.js'
import type { Agenda, AgendaAlarm } from './agenda.js'
import type { Lane } from '../job/snapshot.js'
import type { RateRule } from '../job/task-record.js'
import { TimeHeap } from './time-heap.js'

/** What a limit needs of the queue. */
export interface LimitPort {
  readonly agenda: Agenda
  /** A reading is this much older than the instant at most; see `Clock`. */
  readonly resolutionMs: number
  /** A limit that nobody uses any more can be forgotten. */
  forget(limit: Limit): void
}

export class Limit {
  /** Its name in the book that keeps it. */
  readonly name: string
  readonly #port: LimitPort
  readonly #concurrency: number
  readonly #rate: RateRule | undefined
  /** Starts that are not `per` ago, oldest first, from `#oldest` on. */
  #starts: number[] = []
  #oldest = 0
  #running = 0
  #pausedUntil = -Infinity
  /** Shut groups per lane, the best rank first. */
  readonly #shut: Record<Lane, TimeHeap<GatedGroup>> = {
    cpu: new TimeHeap(),
    io: new TimeHeap(),
    main: new TimeHeap(),
  }
  #opening: AgendaAlarm | undefined
  #openingAt = Infinity
  /** Groups that exist and name this limit. */
  users = 0

  constructor(name: string, concurrency: number, rate: RateRule | undefined, port: LimitPort) {
    this.name = name
    this.#concurrency = concurrency
    this.#rate = rate
    this.#port = port
  }

  /** How many jobs may start now. */
  available(now: number): number {
    if (now < this.#pausedUntil) return 0
    this.#dropOldStarts(now)
    const tokens =
      this.#rate === undefined ? Infinity : this.#rate.limit - (this.#starts.length - this.#oldest)
    return Math.min(this.#concurrency - this.#running, tokens)
  }

  /** A job that passes this gate starts. */
  took(now: number): void {
    this.#running++
    if (this.#rate === undefined) return
    this.#starts.push(now)
    if (this.#hasShut) this.#awaitOpening(now) // who still waits here is not shut again by anybody
  }

  /** Its execution has really ended. */
  gaveBack(now: number): void {
    this.#running--
    if (this.available(now) > 0) this.#reopenBest(1)
    this.forgetIfUnused(now)
  }

  /** Nothing starts before `until`. An earlier end of a pause that is longer stays. */
  pause(until: number, now: number): void {
    this.#pausedUntil = Math.max(this.#pausedUntil, until)
    this.#awaitOpening(now)
  }

  /** Ends a pause. */
  resume(now: number): void {
    this.#pausedUntil = -Infinity
    this.#reopenBest(this.available(now))
  }

  /** The group's first job may not start because of this gate. */
  shut(group: GatedGroup, now: number): void {
    group.shutBy = this
    this.#shut[group.lane].add(group, group.rank)
    this.#awaitOpening(now)
  }

  /** A shut group has another first job: it waits here by the rank of that one. */
  stand(group: GatedGroup): void {
    this.#shut[group.lane].remove(group)
    group.rerank()
    this.#shut[group.lane].add(group, group.rank)
  }

  /** The group is looked at by others again, or gone. */
  release(group: GatedGroup): void {
    this.#shut[group.lane].remove(group)
    group.shutBy = undefined
  }

  /** A group that was open turned to another gate or emptied: if a start is left, the next best may try. */
  yield(lane: Lane, now: number): void {
    if (this.#shut[lane].size > 0 && this.available(now) > 0) this.#shut[lane].first?.reopen()
  }

  /** A limit of one key goes when no group names it, nothing runs and its window is empty. */
  forgetIfUnused(now: number): void {
    if (this.users > 0 || this.#running > 0 || now < this.#pausedUntil) return
    this.#dropOldStarts(now)
    if (this.#starts.length === this.#oldest) this.#port.forget(this)
    else this.#awaitOpening(now)
  }

  get #hasShut(): boolean {
    const { cpu, io, main } = this.#shut
    return cpu.size + io.size + main.size > 0
  }

  #dropOldStarts(now: number): void {
    if (this.#rate === undefined) return
    const surelyPast = now - this.#rate.perMs - this.#port.resolutionMs
    while (this.#oldest < this.#starts.length && (this.#starts[this.#oldest] ?? 0) <= surelyPast)
      this.#oldest++
    if (this.#oldest > 64 && this.#oldest * 2 > this.#starts.length) {
      this.#starts = this.#starts.slice(this.#oldest)
      this.#oldest = 0
    }
  }

  /** Arms the alarm for the instant at which time alone opens the gate. */
  #awaitOpening(now: number): void {
    this.#dropOldStarts(now)
    const oldest = this.#starts[this.#oldest]
    const isFull =
      this.#rate !== undefined && (this.users === 0 || this.#starts.length - this.#oldest >= this.#rate.limit)
    const windowAt = isFull && oldest !== undefined ? oldest + this.#rate.perMs : -Infinity
    const at = Math.max(windowAt, this.#pausedUntil)
    if (at === Infinity) return // until it is resumed: no instant to wait for
    if (at <= now - this.#port.resolutionMs || (this.#opening?.isArmed === true && this.#openingAt === at))
      return
    this.#opening?.disarm()
    this.#openingAt = at
    this.#opening = this.#port.agenda.alarm(at, (then) => this.#opened(then))
  }

  #opened(now: number): void {
    const available = this.available(now)
    if (available > 0) this.#reopenBest(available)
    else this.#awaitOpening(now)
    this.forgetIfUnused(now)
  }

  #reopenBest(count: number): void {
    for (const heap of [this.#shut.cpu, this.#shut.io, this.#shut.main]) {
      for (let left = count; left > 0 && heap.size > 0; left--) heap.first?.reopen()
    }
  }
}
