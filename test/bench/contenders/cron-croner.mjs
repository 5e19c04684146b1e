/** croner. */
import { Cron } from 'croner'

export function start() {
  const jobs = []
  return {
    schedule: (name, expression, run) => void jobs.push(new Cron(expression, run)),
    stop: () => jobs.forEach((job) => job.stop()),
  }
}
