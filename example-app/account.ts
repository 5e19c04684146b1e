/** Who is logged in, and how an account goes: one small deletion after another, the user last. */
import { createHash, randomBytes } from 'node:crypto'
import { Router, type Request, type Response } from 'express'
import type { Scheduler } from 'sidework'
import { fieldError } from './answers.js'
import type { Account, Database } from './database.js'
import { closeAccount, eraseItem } from './tasks.js'

const cookieName = 'log-in'
const logInMs = 30 * 60 * 1000

/** Whoever follows the link is logged in for half an hour. */
export function logIn(res: Response, database: Database, userId: string): void {
  const token = randomBytes(24).toString('base64url')
  database.addLogIn(hashOf(token), userId, Date.now() + logInMs)
  res.cookie(cookieName, token, { httpOnly: true, sameSite: 'lax', maxAge: logInMs })
}

/** Whose cookie it is; undefined when there is none, or its time is over. */
export function accountOf(req: Request, database: Database): Account | undefined {
  const [, token] = new RegExp(`(?:^|; )${cookieName}=([\\w-]+)`).exec(req.headers.cookie ?? '') ?? []
  return token === undefined ? undefined : database.accountOf(hashOf(token), Date.now())
}

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('base64url')
}

/** `GET /` tells who is logged in, `DELETE /` deletes all there is of them. */
export function accountRoutes(scheduler: Scheduler, database: Database): Router {
  const router = Router()

  router.get('/', (req, res) => {
    const account = accountOf(req, database)
    res.set('Cache-Control', 'no-store')
    if (account === undefined) return void res.json({ account: null })
    const { name, email, id } = account
    return void res.json({ account: { name, email, photos: database.photosOf(id).length } })
  })

  router.delete('/', (req, res) => {
    const account = accountOf(req, database)
    if (account === undefined) return void res.status(401).json(notLoggedIn)
    const photos = database.photosOf(account.id)
    const items = [
      ...photos.map((photoId) => ({ photoId })),
      ...database.mailsTo(account.email).map((messageId) => ({ messageId })),
    ]
    // However many there are, they are accepted together or not at all.
    const batch = req.defer.batch(eraseItem, items, {
      callback: { task: closeAccount, payload: { userId: account.id } },
    })
    for (const photoId of photos) {
      // The first step of a photo's flow has the photo's id.
      const flow = scheduler.job(photoId)?.flow
      if (flow !== undefined) scheduler.cancel(flow.id, 'The account is being deleted.')
    }
    res.clearCookie(cookieName)
    return res.accepted(batch, {
      message: 'Your account is being deleted.',
      job: batch.id,
      items: items.length,
    })
  })

  return router
}

const notLoggedIn = fieldError('account', 'You are not logged in. Follow the link in your mail.')
