import { createScheduler } from 'sidework'
import { sidework } from 'sidework/express'
import express from 'express'
import request from 'supertest'
import { describe, expect, onTestFinished, test } from 'vitest'
import { openDatabase } from '../../example-app/database.js'
import { scheduleRoutes, startSchedules } from '../../example-app/schedules.js'
import { temporaryFolder } from './temporary-folder.js'

function start() {
  const database = openDatabase(temporaryFolder())
  const scheduler = createScheduler({
    tasks: new URL('../../example-app/tasks.ts', import.meta.url),
    logger: false,
  })
  onTestFinished(async () => {
    await scheduler.close({ timeout: 0 })
    database.close()
  })
  scheduler.pause() // what is deferred stays where it can be looked at
  const cron = startSchedules(scheduler)
  const app = express().use(sidework(scheduler)).use('/schedules', scheduleRoutes(cron, database))
  return { app, cron, database, scheduler }
}

describe('the schedules', () => {
  test('are shown with their next runs: the report at two in Berlin, the removal every 15 minutes', async () => {
    const { app } = start()
    const { body } = await request(app).get('/schedules').expect(200)
    expect(body).toMatchObject({
      schedules: [
        { name: 'nightly-report', description: 'every day at 02:00 (Europe/Berlin)', state: 'active' },
        { name: 'expired-log-ins', description: 'every 15 minutes', state: 'active' },
        { name: 'old-reports', description: 'every hour', state: 'active' },
      ],
      logIns: 0,
    })
    const [report, removal] = (body as { schedules: { nextRuns: number[] }[] }).schedules
    const hours = new Intl.DateTimeFormat('en-GB', { timeZone: 'Europe/Berlin', timeStyle: 'short' })
    expect(report?.nextRuns.map((at) => hours.format(at))).toEqual(['02:00', '02:00', '02:00'])
    const [first = 0, second = 0, third = 0] = removal?.nextRuns ?? []
    expect([second - first, third - second]).toEqual([900_000, 900_000])
  })

  test('run now when asked to, and the answer names the job', async () => {
    const { app, scheduler } = start()
    for (const [name, task] of [
      ['nightly-report', 'write-nightly-report'],
      ['expired-log-ins', 'remove-expired-log-ins'],
      ['old-reports', 'remove-reports'],
    ] as const) {
      const { body } = await request(app).post(`/schedules/${name}/run`).expect(202)
      const { job } = body as { job: string }
      expect(scheduler.job(job)).toMatchObject({ task, schedule: { name } })
    }
  })

  test('that nobody knows are not found', async () => {
    const { app } = start()
    await request(app).post('/schedules/nobody/run').expect(404)
  })
})

describe('the database', () => {
  const user = { id: 'u', name: 'Asha', email: 'asha@example.com', passwordHash: 'h', verifyCode: 'c' }

  test('forgets log-ins that are over, and keeps the others', () => {
    const { database } = start()
    database.addUser(user)
    database.addLogIn('old', 'u', 1_000)
    database.addLogIn('new', 'u', 3_000)
    expect(database.removeExpiredLogIns(2_000)).toBe(1)
    expect([database.logInCount(), database.removeExpiredLogIns(2_000)]).toEqual([1, 0])
  })

  test('counts for a report, once per day', () => {
    const { database } = start()
    database.writeReport('2026-03-07')
    database.addUser(user)
    database.verifyUser('c')
    database.writeReport('2026-03-08')
    database.addPhoto('p')
    database.writeReport('2026-03-08')
    expect(database.latestReport()).toEqual({ day: '2026-03-08', users: 1, verified: 1, mails: 0, photos: 1 })
  })

  test('knows whose verify code it is', () => {
    const { database } = start()
    database.addUser(user)
    expect([database.userOfCode('c'), database.userOfCode('x')]).toEqual(['u', undefined])
  })
})
