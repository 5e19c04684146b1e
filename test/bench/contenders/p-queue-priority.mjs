/**
 * p-queue's priority queue, which it does not export: a sorted array. The rule of ours as one number, ties by age as p-queue
 * has them. A queue is filled in order, since inserting a million at random would take minutes.
 */
const { default: PriorityQueue } = await import(
  new URL('./priority-queue.js', import.meta.resolve('p-queue'))
)

export function createQueue(agingMs) {
  const queue = new PriorityQueue()
  return {
    fill(jobs) {
      const turn = ({ readyAt, priority }) => readyAt - priority * agingMs
      for (const job of jobs.toSorted((a, b) => turn(a) - turn(b) || a.seq - b.seq)) this.push(job)
    },
    push: (job) => queue.enqueue(job, { priority: job.priority * agingMs - job.readyAt }),
    pop: () => queue.dequeue(),
  }
}
