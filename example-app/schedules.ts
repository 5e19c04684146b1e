/** What happens again and again, and the routes that show it. */
import { Router } from 'express'
import type { Scheduler } from 'sidework'
import { createCron, type Cron } from 'sidework/cron'
import { fieldError } from './answers.js'
import type { Database } from './database.js'
import { removeExpiredLogIns, removeReports, writeNightlyReport } from './tasks.js'

/** Where the people are who read the report. */
const timeZone = 'Europe/Berlin'
const shownRuns = 3

/** Starts the schedules; they end with the scheduler. */
export function startSchedules(scheduler: Scheduler): Cron {
  const cron = createCron(scheduler)
  cron.schedule('nightly-report', '0 2 * * *', writeNightlyReport, { timeZone }, { timezone: timeZone })
  cron.every('expired-log-ins', '15m', removeExpiredLogIns)
  cron.every('old-reports', '1h', removeReports)
  return cron
}

/** `GET /` tells of the schedules with their next runs, `POST /:name/run` runs one now. */
export function scheduleRoutes(cron: Cron, database: Database): Router {
  const router = Router()

  router.get('/', (_req, res) => {
    const schedules = cron.list().map(({ name, description, state, lastFiredFor }) => ({
      name,
      description,
      state,
      lastFiredFor,
      nextRuns: cron.nextRuns(name, shownRuns),
    }))
    res.set('Cache-Control', 'no-store')
    res.json({ schedules, report: database.latestReport(), logIns: database.logInCount() })
  })

  router.post('/:name/run', (req, res) => {
    const { name } = req.params
    if (cron.get(name) === undefined) {
      res.status(404).json(fieldError('name', 'There is no such schedule.'))
      return
    }
    const job = cron.runNow(name)
    res.accepted(job, { message: 'It runs now.', job: job.id })
  })

  return router
}
