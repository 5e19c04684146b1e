/** fastq with promises, as many at once as sidework's main lane has places. */
import fastq from 'fastq'

export function start() {
  const queue = fastq.promise((run) => run(), 8)
  return {
    push: (run) => void queue.push(run),
    ask: (run) => queue.push(run),
    close() {},
  }
}
