/** The Express app: answers at once, and defers what takes its time. */
import { randomBytes, randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import express, { type Express, type Request, type Response } from 'express'
import type { Scheduler } from 'sidework'
import type { Cron } from 'sidework/cron'
import { idempotent, jobsRouter, sidework } from 'sidework/express'
import { metrics } from 'sidework/metrics'
import { accountOf, accountRoutes, logIn } from './account.js'
import { answerErrors, fieldError, securityHeaders } from './answers.js'
import type { Database } from './database.js'
import type { MailServer } from './mail-server.js'
import { describePhoto, photoJobIds, photoSteps } from './photo-steps.js'
import { receivePhoto } from './photo-upload.js'
import { photoFolder, removeOriginal, sizeFile, sizeNames } from './photos.js'
import { scheduleRoutes } from './schedules.js'
import { hashPassword, readSignUp } from './sign-up.js'
import { isReportId, reportFile, reportFolder } from './reports.js'
import { makeReport, sendVerificationMail } from './tasks.js'

export interface Deps {
  readonly scheduler: Scheduler
  readonly cron: Cron
  readonly database: Database
  readonly mailServer: MailServer
  readonly dataDir: string
}

const publicFolder = fileURLToPath(new URL('./public', import.meta.url))
/** One file for browsers, which needs no bundler. */
const clientModule = fileURLToPath(import.meta.resolve('sidework/client'))

export function createApp(deps: Deps): Express {
  const app = express()
  app.disable('x-powered-by')
  app.use(securityHeaders)
  app.get('/healthz', (_req, res) => res.json({ ok: true }))
  app.get('/metrics', metrics(deps.scheduler))
  app.use('/jobs', jobsRouter(deps.scheduler))
  app.use(sidework(deps.scheduler), express.json({ limit: '16kb' }))
  signUpRoutes(app, deps)
  app.use('/account', accountRoutes(deps.scheduler, deps.database))
  mailRoutes(app, deps)
  photoRoutes(app, deps)
  reportRoutes(app, deps)
  app.use('/schedules', scheduleRoutes(deps.cron, deps.database))
  app.get('/sidework-client.js', (_req, res) => res.sendFile(clientModule))
  app.use(express.static(publicFolder))
  app.use((req, res) => res.status(404).json(fieldError('url', `There is nothing at ${req.path}.`)))
  app.use(answerErrors)
  return app
}

function signUpRoutes(app: Express, { database }: Deps): void {
  app.post('/signup', async (req, res) => {
    const reading = readSignUp(req.body)
    if ('errors' in reading) return res.status(400).json(reading)
    const { name, email, password } = reading.signUp
    // Looked up first to save the hashing; that nobody else takes the address meanwhile is up to `addUser`.
    if (database.hasUser(email)) return res.status(409).json(taken)
    const passwordHash = await hashPassword(password)
    const user = {
      id: randomUUID(),
      name,
      email,
      passwordHash,
      verifyCode: randomBytes(24).toString('base64url'),
    }
    if (!database.addUser(user)) return res.status(409).json(taken)
    return acceptSignUp(req, res, database, user.id)
  })

  // However often the button is pressed, one mail: while a job of this user is there, it is that one (see tasks.ts).
  app.post('/signup/again', (req, res) => {
    const userId: unknown = (req.body as { userId?: unknown } | undefined)?.userId // JSON, so any of its values
    if (typeof userId !== 'string' || database.recipient(userId) === undefined)
      return res.status(404).json(fieldError('userId', 'This user is not known.'))
    const job = req.defer(sendVerificationMail, { userId })
    const { id, deduplicated } = job
    return res.accepted(job, { message: 'Please check your email.', userId, job: id, deduplicated })
  })

  app.get('/verify/:code', (req, res) => {
    const isVerified = database.verifyUser(req.params.code)
    const userId = database.userOfCode(req.params.code)
    if (userId !== undefined) logIn(res, database, userId)
    res.status(isVerified ? 200 : 404).format({
      html: () => res.sendFile(isVerified ? 'verified.html' : 'unknown-link.html', { root: publicFolder }),
      json: () => res.json(isVerified ? { verified: true } : fieldError('code', 'This link is not known.')),
    })
  })
}

const taken = fieldError('email', 'This address has signed up already.')

function acceptSignUp(req: Request, res: Response, database: Database, userId: string): void {
  try {
    const job = req.defer(sendVerificationMail, { userId })
    res.accepted(job, { message: 'Please check your email.', userId, job: job.id })
  } catch (error) {
    // A refused job (the queue is full, the server is closing) leaves no half sign-up behind.
    database.removeUser(userId)
    throw error
  }
}

function mailRoutes(app: Express, { database, mailServer }: Deps): void {
  app.get('/inbox', (_req, res) => {
    res.set('Cache-Control', 'no-store')
    res.json(database.mails().map(({ to, subject, text }) => ({ to, subject, text })))
  })

  app.get('/mail-server', (_req, res) => res.set('Cache-Control', 'no-store').json({ up: mailServer.isUp }))

  app.post('/mail-server', async (req, res) => {
    const up: unknown = (req.body as { up?: unknown } | undefined)?.up // JSON, so any of its values
    if (typeof up !== 'boolean')
      return res.status(400).json(fieldError('up', 'Say { "up": true } or { "up": false }.'))
    await (up ? mailServer.start() : mailServer.stop())
    return res.json({ up: mailServer.isUp })
  })
}

function photoRoutes(app: Express, { scheduler, database, dataDir }: Deps): void {
  const folder = photoFolder(dataDir)

  app.post('/photos', receivePhoto(folder), async (req, res) => {
    const photoId = res.locals['photoId'] as string | undefined // set by receivePhoto
    if (photoId === undefined) return res.status(400).json(fieldError('photo', 'Choose a photo.'))
    try {
      database.addPhoto(photoId, accountOf(req, database)?.id)
      const flow = req.defer.flow(photoSteps(photoId))
      return res.accepted(flow, {
        message: 'Your thumbnails are on their way.',
        photo: photoId,
        job: flow.id,
      })
    } catch (error) {
      database.removePhoto(photoId)
      await removeOriginal(folder, photoId)
      throw error
    }
  })

  app.get('/photos/:id', (req, res) => {
    const photo = database.photo(req.params.id)
    if (photo === undefined) return res.status(404).json(fieldError('id', 'This photo is not known.'))
    return res.set('Cache-Control', 'no-store').json(
      describePhoto(
        photo,
        photoJobIds(photo.id).map((id) => scheduler.job(id)),
      ),
    )
  })

  app.get('/photos/:id/:size', (req, res) => {
    const photo = database.photo(req.params.id)
    const size = sizeNames.find((name) => name === req.params.size)
    if (photo === undefined || size === undefined || !photo.sizes.includes(size)) {
      return res.status(404).json(fieldError('size', 'There is no such picture.'))
    }
    // A size never changes once it is there.
    return res.sendFile(sizeFile('', photo.id, size), { root: folder, immutable: true, maxAge: '1d' })
  })
}

function reportRoutes(app: Express, { dataDir }: Deps): void {
  const folder = reportFolder(dataDir)

  app.post('/reports', idempotent({ ttl: '1h' }), (req, res) => {
    const reportId = randomUUID()
    const job = req.defer(makeReport, { reportId }, { id: reportId })
    res.accepted(job, {
      message: 'Your report is being made.',
      job: job.id,
      report: `/reports/${reportId}.pdf`,
    })
  })

  app.get('/reports/:id.pdf', (req, res, next) => {
    const { id } = req.params
    if (!isReportId(id)) return noReport(res)
    res.set('Cache-Control', 'no-store')
    return res.sendFile(reportFile('', id), { root: folder }, (error?: Error) => {
      // Not there yet, or never asked for; when the client went away there is nobody to tell.
      if (error !== undefined && !res.headersSent) noReport(res)
      else if (error !== undefined && !res.writableEnded) next(error)
    })
  })
}

function noReport(res: Response): void {
  res.status(404).json(fieldError('id', 'There is no such report, or it is not ready.'))
}
