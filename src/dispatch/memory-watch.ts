/**
 * Looks once a second, while there are threads, whether the process holds more memory than it may. Only the process as a
 * whole can be measured from outside, so the threads are asked what they hold; the one that holds most is replaced, and
 * its job, if it has one, failed by running out of memory. Where none holds much, but all do together, an idle one is, if
 * there is one. A thread that does not answer and is at work is the next suspect; the job of one that answers comes last.
 */
import type { Crew } from './crew.js'
import type { DispatchRooms } from './dispatch-rooms.js'
import type { LaneRoom } from './lane-room.js'
import type { LaneThread } from './lane-thread.js'
import type { Recall } from './recall.js'

const lookEveryMs = 1_000
/** Threads have this long to answer. */
const answerMs = 250
/** After a thread was stopped its memory takes a while to come back. */
const restMs = 5_000
/** Less than this share of the bound is not what exceeds it. */
const suspectShare = 0.25
/** Threads that hold this share together exceed it together, however little each holds. */
const sharedShare = 0.5

export class MemoryWatch {
  readonly #rooms: DispatchRooms
  readonly #crew: Crew
  readonly #recall: Recall
  readonly #dispatch: (room: LaneRoom) => void
  #isWatching = false

  constructor(rooms: DispatchRooms, crew: Crew, recall: Recall, dispatch: (room: LaneRoom) => void) {
    this.#rooms = rooms
    this.#crew = crew
    this.#recall = recall
    this.#dispatch = dispatch
  }

  /** A thread has started. */
  watch(): void {
    if (this.#isWatching || this.#rooms.world.rssBytes === undefined) return
    this.#isWatching = true
    this.#after(lookEveryMs, () => this.#look())
  }

  #look(): void {
    const threads = this.#workers()
    if (threads.length === 0) {
      this.#isWatching = false
      return
    }
    if (this.#rssBytes() <= this.#rooms.maxRssBytes) return this.#after(lookEveryMs, () => this.#look())
    const askedAt = this.#rooms.world.clock.now()
    for (const thread of threads) thread.port.post({ kind: 'ping' })
    this.#after(answerMs, () => this.#judge(askedAt))
  }

  #judge(askedAt: number): void {
    for (const { port } of this.#workers()) port.drain()
    const rssBytes = this.#rssBytes()
    const { maxRssBytes, listener } = this.#rooms
    if (rssBytes > maxRssBytes) {
      const suspect = this.#suspect(askedAt, rssBytes - maxRssBytes)
      listener.memoryExceeded(rssBytes, maxRssBytes, suspect)
      if (suspect !== undefined) this.#stop(suspect)
    }
    this.#after(restMs, () => this.#look())
  }

  /** @param tooMuchBytes what the process holds above the bound */
  #suspect(askedAt: number, tooMuchBytes: number): LaneThread | undefined {
    const threads = this.#workers()
    const { maxRssBytes } = this.#rooms
    const answered = threads.filter(({ memory }) => memory.at >= askedAt)
    const [largest] = answered.sort((a, b) => b.memory.bytes - a.memory.bytes)
    if (largest !== undefined && largest.memory.bytes >= suspectShare * maxRssBytes) return largest
    const silent = threads.find((thread) => thread.memory.at < askedAt && !thread.isIdle)
    const together = answered.reduce((sum, { memory }) => sum + memory.bytes, 0)
    if (together < sharedShare * maxRssBytes) return silent
    // What is too much cannot be held by those that hold less than that.
    if (silent !== undefined && together < tooMuchBytes) return silent
    // One after another, while it lasts; those first that have no job to lose.
    return answered.find(({ isIdle }) => isIdle) ?? silent ?? largest
  }

  #stop(thread: LaneThread): void {
    if (thread.isIdle) this.#crew.release(thread, 'memory')
    else {
      this.#recall.from(thread)
      this.#crew.terminate(thread, 'memory')
    }
    this.#dispatch(this.#crew.lanes[thread.lane])
  }

  #workers(): LaneThread[] {
    return this.#crew.threads.filter(
      ({ lane, phase }) => lane !== 'main' && (phase === 'open' || phase === 'retiring'),
    )
  }

  #rssBytes(): number {
    return this.#rooms.world.rssBytes?.() ?? 0
  }

  #after(ms: number, run: () => void): void {
    this.#rooms.agenda.alarm(this.#rooms.world.clock.now() + ms, run)
  }
}
