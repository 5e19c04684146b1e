/** node-cron with its own runner; its warnings about missed runs would be part of what is measured. */
import { schedule } from 'node-cron'

export function start() {
  const tasks = []
  return {
    schedule: (name, expression, run) =>
      void tasks.push(schedule(expression, run, { name, suppressMissedWarning: true })),
    stop: () => Promise.all(tasks.map((task) => task.destroy())),
  }
}
