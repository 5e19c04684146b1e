/** sidework as the contender `sidework`, with what shows it: metrics scraped once a second, log lines at `info`, or both. */
import { pino } from 'pino'
import { createScheduler } from 'sidework'
import { metrics } from 'sidework/metrics'
import { deferAll } from './sidework.mjs'

const tasks = new URL('../tasks/noop.mjs', import.meta.url)

/** @param shown `{ metrics, logs }`: what is on */
export async function start(threads, shown) {
  const logger = shown.logs && pino({ level: 'info' }, pino.destination({ dest: '/dev/null', sync: false }))
  const scheduler = createScheduler({ tasks, threads: { cpu: threads, nice: 0 }, logger })
  const scraping = shown.metrics ? scrapeEverySecond(metrics(scheduler)) : undefined
  await scheduler.ready()
  return {
    run: (count) => deferAll(scheduler, count),
    async close() {
      clearInterval(scraping)
      await scheduler.close()
    },
  }
}

function scrapeEverySecond({ register }) {
  return setInterval(() => void register.metrics(), 1000)
}
