/**
 * Wires the parts and listens. Run it with `npm start`, or `tsx example-app/server.ts` after a build.
 * Environment: PORT, HOST, DATA_DIR, SMTP_PORT, MAX_QUEUED, PUBLIC_URL (settings.ts says what they mean).
 */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { pino } from 'pino'
import pretty from 'pino-pretty'
import { createScheduler } from 'sidework'
import { closeOnSignal } from 'sidework/express'
import { createApp } from './app.js'
import { openDatabase } from './database.js'
import { keepLostJobs, restoreLostJobs } from './lost-jobs.js'
import { MailServer } from './mail-server.js'
import { startSchedules } from './schedules.js'
import { readSettings } from './settings.js'

const { dataDir, host, maxQueued, port, smtpPort } = readSettings()
const database = openDatabase(dataDir)
const mailServer = new MailServer({ port: smtpPort, onMail: (mail) => database.keepMail(mail) })
// In a terminal the log is for a person, elsewhere it is JSON for whatever collects it.
const logger = process.stdout.isTTY
  ? pino({ level: 'debug' }, pretty({ colorize: true, ignore: 'pid,hostname', sync: true }))
  : pino()
const scheduler = createScheduler({ tasks: new URL('./tasks.js', import.meta.url), maxQueued, logger })

await mailServer.start()
const cron = startSchedules(scheduler)
const server = createApp({ scheduler, cron, database, mailServer, dataDir }).listen(port, host)
await once(server, 'listening').catch((cause: unknown) => {
  throw new Error(
    `The example cannot listen on ${host}:${port}. Set PORT to another one, 0 for any that is free.`,
    { cause },
  )
})
const { port: openPort } = server.address() as AddressInfo // a TCP server that listens has an AddressInfo
const url = `http://localhost:${openPort}`

// What only shows at the start reaches the tasks through the environment that their threads inherit.
process.env['DATA_DIR'] = dataDir
process.env['SMTP_PORT'] = String(mailServer.port)
process.env['PUBLIC_URL'] ||= url

// Before the first request can be read, or it might ask for a job that is still in the file.
const restored = restoreLostJobs(dataDir, scheduler)

closeOnSignal(server, scheduler, {
  async onClosed({ lost }) {
    await keepLostJobs(dataDir, lost)
    await mailServer.stop()
    database.close()
  },
})

// Requests may come already: their jobs wait until the threads are there.
await scheduler.ready()
if (restored > 0) console.log(`Took back ${restored} job(s) of the last run.`)
console.log(`Sidework example: ${url}`)
