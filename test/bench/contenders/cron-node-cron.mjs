/** node-cron with its own runner. */
import { schedule } from 'node-cron'

export function start() {
  const tasks = []
  return {
    schedule: (name, expression, run) => void tasks.push(schedule(expression, run, { name })),
    stop: () => Promise.all(tasks.map((task) => task.destroy())),
  }
}
