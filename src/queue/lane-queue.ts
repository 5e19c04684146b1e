/**
 * The ready jobs of one lane: those without limits in one ready queue, the others in groups that have to pass the same
 * limits. The next job is the best by the rule among the first job of the free queue and those of the open groups.
 *
 * A group whose limit lets nothing start is shut when its turn comes and waits at that limit; when the limit has a start
 * to give, its best group opens again. So a limited job costs others nothing, and as many groups as there are starts to
 * give are always open.
 */
import type { Gates, Job } from '../job/job.js'
import type { Lane } from '../job/snapshot.js'
import { GatedGroup, type GroupAge } from './gated-group.js'
import type { Limit } from './limit.js'
import { ReadyQueue } from './ready-queue.js'
import { TimeHeap } from './time-heap.js'

/** What a lane's queue needs of the queue it is part of. */
export interface LaneQueuePort {
  /** What the job has to pass to start. */
  gatesOf(job: Job): Gates<Limit> | undefined

  now(): number
  /** A group opened: the lane should be looked at. */
  wake(lane: Lane): void
}

export class LaneQueue {
  readonly #lane: Lane
  readonly #aging: number | false
  readonly #port: LaneQueuePort
  readonly #free: ReadyQueue<Job>
  readonly #groups = new Map<string, GatedGroup>()
  /** Open groups with jobs, by the rank of their first. */
  readonly #open = new TimeHeap<GatedGroup>()
  /** All groups, by the job that is longest ready. */
  readonly #ages = new TimeHeap<GroupAge>()
  /** All ready jobs, those of shut groups included. */
  size = 0

  constructor(lane: Lane, aging: number | false, port: LaneQueuePort) {
    this.#lane = lane
    this.#aging = aging
    this.#port = port
    this.#free = new ReadyQueue(aging)
  }

  /** Groups that hold jobs. */
  get groupCount(): number {
    return this.#groups.size
  }

  push(job: Job): void {
    this.size++
    const gates = this.#port.gatesOf(job)
    if (gates === undefined) return this.#free.push(job)
    job.more().gates = gates
    const group = this.#groupOf(gates.name, gates.limits)
    group.ready.push(job)
    this.#reckonAge(group, job)
    if (group.shutBy === undefined) this.#list(group)
    else if (group.ready.peek() === job) group.reopen() // a better first job: it may be its turn
  }

  /** The job that starts next, without taking it; undefined when none may start. */
  peek(): Job | undefined {
    if (this.#open.size === 0) return this.#free.peek()
    const group = this.#bestOpen()
    const free = this.#free.peek()
    if (group === undefined) return free
    if (free === undefined) return group.ready.peek()
    const rank = this.#free.firstRank
    const isFree = rank < group.rank || (rank === group.rank && free.seq < group.seq)
    return isFree ? free : group.ready.peek()
  }

  /** Takes a job out, wherever it is. */
  remove(job: Job): void {
    this.size--
    if (job.details?.runsAlone === true) this.#port.wake(this.#lane) // places were kept free until it had its own
    const gates = job.details?.gates
    if (gates === undefined) return this.#free.remove(job)
    const group = this.#groups.get(gates.name)
    if (group === undefined) return
    const wasFirst = group.ready.peek() === job
    group.ready.remove(job)
    this.#reckonAge(group, job)
    if (group.ready.size === 0) this.#close(group)
    else if (group.shutBy === undefined) {
      this.#list(group)
      // A shut group may have the better first job then.
      if (wasFirst) this.#yieldOthers(group, undefined, this.#port.now())
    } else if (wasFirst) group.shutBy.stand(group) // behind those whose first job is better than its next
  }

  /** Whether the rule starts the one before the other. */
  isBefore(one: Job, other: Job): boolean {
    return this.#free.isBefore(one, other)
  }

  /** When the job that is longest ready became so, or Infinity. O(1), however many groups there are. */
  get oldestAt(): number {
    return Math.min(this.#free.oldestAt, this.#ages.firstAt)
  }

  /** Takes out every job that `matches`; in no order. */
  takeAll(matches: (job: Job) => boolean): Job[] {
    const queues = [this.#free, ...Array.from(this.#groups.values(), ({ ready }) => ready)]
    const found = queues.flatMap((ready) => [...ready.values()].filter(matches))
    for (const job of found) this.remove(job)
    return found
  }

  /** The best open group whose limits let its first job start. */
  #bestOpen(): GatedGroup | undefined {
    const now = this.#port.now()
    for (let group = this.#open.first; group !== undefined; group = this.#open.first) {
      const closed = group.closedLimit(now)
      if (closed === undefined) return group
      this.#unlist(group)
      closed.shut(group, now)
      this.#yieldOthers(group, closed, now)
    }
    return undefined
  }

  #yieldOthers(group: GatedGroup, except: Limit | undefined, now: number): void {
    for (const limit of group.limits) if (limit !== except) limit.yield(this.#lane, now)
  }

  #groupOf(name: string, limits: readonly Limit[]): GatedGroup {
    const known = this.#groups.get(name)
    if (known !== undefined) return known
    const group = new GatedGroup(name, this.#lane, limits, new ReadyQueue<Job>(this.#aging), {
      opened: (opened) => {
        this.#list(opened)
        this.#port.wake(this.#lane)
      },
    })
    this.#groups.set(name, group)
    return group
  }

  /** Notes how old the group's jobs are. @param job the one that came or went */
  #reckonAge({ age, ready }: GatedGroup, job: Job): void {
    if (job.readyAt > age.oldestAt) return // neither came nor went the oldest
    const { oldestAt } = ready
    if (oldestAt === age.oldestAt) return
    if (age.oldestAt !== Infinity) this.#ages.remove(age)
    age.oldestAt = oldestAt
    if (oldestAt !== Infinity) this.#ages.add(age, oldestAt)
  }

  /** Stands it among the open groups by its first job. */
  #list(group: GatedGroup): void {
    this.#unlist(group)
    group.rerank()
    group.isListed = true
    this.#open.add(group, group.rank)
  }

  #unlist(group: GatedGroup): void {
    if (!group.isListed) return
    group.isListed = false
    this.#open.remove(group)
  }

  /** The group has no jobs left. */
  #close(group: GatedGroup): void {
    const now = this.#port.now()
    this.#unlist(group)
    group.shutBy?.release(group)
    this.#groups.delete(group.name)
    for (const limit of group.limits) {
      limit.users--
      limit.forgetIfUnused(now)
    }
    this.#yieldOthers(group, undefined, now)
  }
}
