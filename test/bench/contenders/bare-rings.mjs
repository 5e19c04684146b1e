/** Ten rings, one per priority, whose heads are compared by the rule: no jobs that come back, none taken out of the middle. */
export function createQueue(agingMs) {
  return new BareRings(agingMs)
}

class BareRings {
  #agingMs
  #rings = Array.from({ length: 10 }, () => ({ jobs: [], mask: -1, head: 0, tail: 0 }))

  constructor(agingMs) {
    this.#agingMs = agingMs
  }

  push(job) {
    const ring = this.#rings[job.priority]
    if (ring.tail - ring.head > ring.mask) grow(ring)
    ring.jobs[ring.tail++ & ring.mask] = job
  }

  pop() {
    let best
    let first
    let bestTurn = Infinity
    for (let priority = 9; priority >= 0; priority--) {
      const ring = this.#rings[priority]
      if (ring.head === ring.tail) continue
      const job = ring.jobs[ring.head & ring.mask]
      const turn = job.readyAt - priority * this.#agingMs
      if (turn > bestTurn || (turn === bestTurn && job.seq > first.seq)) continue
      best = ring
      first = job
      bestTurn = turn
    }
    best.jobs[best.head++ & best.mask] = undefined
    return first
  }
}

function grow(ring) {
  const jobs = new Array(Math.max(16, 2 * (ring.mask + 1))).fill(undefined)
  for (let at = ring.head; at < ring.tail; at++) jobs[at & (jobs.length - 1)] = ring.jobs[at & ring.mask]
  ring.jobs = jobs
  ring.mask = jobs.length - 1
}
