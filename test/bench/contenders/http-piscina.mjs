/** `piscina.run`, as a handler would call it. */
import { Piscina } from 'piscina'

const filename = new URL('../tasks/pool-handlers.mjs', import.meta.url).href

export async function makeCall() {
  const pool = new Piscina({
    filename,
    minThreads: 1,
    maxThreads: 1,
    concurrentTasksPerWorker: 256,
    recordTiming: false,
  })
  const options = { name: 'noop' }
  let last
  return { run: (payload) => void (last = pool.run(payload, options)), rest: () => last }
}
