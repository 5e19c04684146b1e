/** A task of the plan, as users define it. */
import type { Task } from '../../src/task/define-task.js'
import type { Plan } from './plan.js'

/** Names are for the scheduler; keyed limits go by the payload's group. */
export function taskOf(plan: Plan, index: number): Task<unknown> {
  const task = plan.tasks[index]
  if (task === undefined) throw new Error(`no task ${index}`)
  const key = (payload: { g: number }): string => `g${payload.g}`
  const { lane, attempts, backoff, timeout, killAfter, onExhausted, concurrency, rate, shared, expiresIn } =
    task
  const options = {
    lane, attempts, backoff, timeout, killAfter, onExhausted,
    ...(concurrency === undefined ? undefined : { concurrency: { limit: concurrency.limit, ...(concurrency.keyed ? { key } : undefined) } }),
    ...(rate === undefined ? undefined : { rateLimit: { limit: rate.limit, per: rate.per, ...(rate.keyed ? { key } : undefined) } }),
    ...(shared ? { limits: 'shared' } : undefined),
    ...(expiresIn === undefined ? undefined : { expiresIn }),
  } // prettier-ignore
  return { name: `t${index}`, run: () => undefined, options } as unknown as Task<unknown>
}
