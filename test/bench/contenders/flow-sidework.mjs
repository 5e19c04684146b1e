/** Steps that wait for one another. */
import { startScheduler } from './flow-scheduler.mjs'

export async function start(steps) {
  const { scheduler, task } = await startScheduler(steps)
  const fills = {
    batch: (count) =>
      scheduler.batch(
        task,
        Array.from({ length: count }, (_, n) => ({ userId: 'user_123', n })),
        { callback: { task, payload: { userId: 'user_123', n: -1 } } },
      ),
    chain: (count) =>
      scheduler.chain(
        Array.from({ length: count }, (_, n) => ({ task, payload: { userId: 'user_123', n } })),
      ),
    diamonds: (count) => {
      const step = (n, after = []) => ({ task, payload: { userId: 'user_123', n }, after })
      const diamond = () =>
        scheduler.flow({ a: step(0), b: step(1, ['a']), c: step(2, ['a']), d: step(3, ['b', 'c']) })
      return Array.from({ length: count / 4 }, diamond)
    },
    'empty batches': (count) =>
      Array.from({ length: count }, () =>
        scheduler.batch(task, [], { callback: { task, payload: { userId: 'user_123', n: -1 } } }),
      ),
    'fan-out': (count) => {
      const refs = Array.from({ length: count }, (_, n) => `s${n}`)
      const step = (n, after) => ({ task, payload: { userId: 'user_123', n }, after })
      const middle = refs.map((ref, n) => [ref, step(n, ['first'])])
      return scheduler.flow({ first: step(-1), ...Object.fromEntries(middle), last: step(-2, refs) })
    },
  }
  return { scheduler, fill: (shape, count) => fills[shape](count) }
}
