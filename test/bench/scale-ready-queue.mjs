/**
 * A queue with a fixed number of residents: pop the next job, push a new one. Priorities are 0 to 9 at random, 100 jobs
 * become ready per millisecond, and aging is a tenth of the time all residents span. So at every size the levels
 * overlap alike: neither does one level shadow the others, nor is the queue a plain FIFO.
 *
 * Only the queue is measured. Records are made before the clock runs and used in the order in which they lie in memory,
 * as if just allocated; what is popped is not looked at, so that a queue which leaves the memory of old jobs alone is
 * seen to. The loop itself costs about 10 ns.
 */
import { mainThreadCpuNs } from './main-thread-cpu.mjs'

const readyPerMs = 100
const fewestWarmUpPairs = 500_000
const longestWarmUpMs = 3_000
const measuredMs = 700

export function pushAndPop({ createQueue }, resident) {
  const agingMs = Math.max(1, resident / readyPerMs / 10)
  const source = new JobSource(resident)
  const queue = createQueue(agingMs)
  const residents = Array.from({ length: resident }, () => source.next())
  if (queue.fill !== undefined) queue.fill(residents)
  else for (const job of residents) queue.push(job)

  const pairsPerClockReading = warmUp(queue, source, Math.max(resident, fewestWarmUpPairs))
  checkOrder(queue, source, agingMs)
  return { pairNs: timePairs(queue, source, pairsPerClockReading) }
}

/**
 * So many pairs, or three seconds of them.
 * @returns how many pairs to time at once: a reading of the clock must not weigh, nor a slow queue take for ever
 */
function warmUp(queue, source, mostPairs) {
  const deadline = performance.now() + longestWarmUpMs
  let pairs = 0
  for (; pairs < mostPairs && performance.now() < deadline; pairs += 100) cycle(queue, source, 100)
  return pairs < mostPairs ? 100 : 20_000
}

/** On the thread's own clock where there is one: a neighbour who takes the core does not count. */
function timePairs(queue, source, pairsPerClockReading) {
  const deadline = performance.now() + measuredMs
  const startedNs = mainThreadCpuNs() ?? performance.now() * 1e6
  let pairs = 0
  do {
    cycle(queue, source, pairsPerClockReading)
    pairs += pairsPerClockReading
  } while (performance.now() < deadline)
  const endedNs = mainThreadCpuNs() ?? performance.now() * 1e6
  return (endedNs - startedNs) / pairs
}

function cycle(queue, source, pairs) {
  for (let pair = 0; pair < pairs; pair++) {
    if (queue.pop() === undefined) throw new Error('The queue is empty before its time.')
    queue.push(source.next())
  }
}

/**
 * Pops a hundred jobs and pushes as many.
 * @throws Error when one comes out of turn: a fast wrong queue is no contender
 */
function checkOrder(queue, source, agingMs) {
  const popped = Array.from({ length: 100 }, () => queue.pop())
  const turn = ({ readyAt, priority }) => readyAt - priority * agingMs
  popped.reduce((before, job) => {
    const isInTurn = turn(before) < turn(job) || (turn(before) === turn(job) && before.seq < job.seq)
    if (!isInTurn) throw new Error(`Job ${job.seq} came after job ${before.seq}, whose turn is later.`)
    return job
  })
  for (let n = 0; n < popped.length; n++) queue.push(source.next())
}

/** Hands out job records: the next acceptance number, a later instant, another priority. */
class JobSource {
  #seq = 0
  #priorities = randomPriorities()
  #records

  /**
   * A job of priority 0 waits longest: 1.45 pushes per resident, because all wait 10 agings on average and it waits 4.5
   * more. So twice as many records as residents are enough for none to be used while it still waits.
   */
  constructor(resident) {
    this.#records = Array.from({ length: 2 * resident }, () => ({
      priority: 0,
      readyAt: 0,
      seq: 0,
      place: 0,
    }))
  }

  next() {
    const seq = this.#seq++
    const job = this.#records[seq % this.#records.length]
    job.seq = seq
    job.readyAt = Math.floor(seq / readyPerMs)
    job.priority = this.#priorities[seq & 0xffff]
    return job
  }
}

/** 65,536 priorities, the same in every run (Park and Miller's generator, seed 1). */
function randomPriorities() {
  let state = 1
  return Uint8Array.from({ length: 65_536 }, () => {
    state = (state * 48_271) % 2_147_483_647
    return state % 10
  })
}
