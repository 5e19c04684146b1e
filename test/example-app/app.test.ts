/**
 * The app in virtual time: real requests, mail server, database and pictures; jobs run when the test says so. With
 * REPEATS=n every test runs n times more.
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import request from 'supertest'
import sharp from 'sharp'
import { createTestScheduler, type TestScheduler } from 'sidework/testing'
import 'sidework/testing/matchers'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { createApp } from '../../example-app/app.js'
import { openDatabase, type Database } from '../../example-app/database.js'
import { MailServer } from '../../example-app/mail-server.js'
import { startSchedules } from '../../example-app/schedules.js'
import {
  closeAccount,
  eraseItem,
  makeThumbnail,
  notifyOwner,
  resizePhoto,
  sendVerificationMail,
} from '../../example-app/tasks.js'

const hashing = vi.hoisted(() => ({ crowd: 1, waiting: [] as (() => void)[] }))

// A good hash takes a good while, which is not what these tests are about; they are made for a crowd at a time.
vi.mock('../../example-app/sign-up.js', async (original) => ({
  ...(await original()),
  hashPassword: () =>
    new Promise((resolve) => {
      hashing.waiting.push(() => resolve('hash'))
      if (hashing.waiting.length >= hashing.crowd) for (const goOn of hashing.waiting.splice(0)) goOn()
    }),
}))

// A mail server makes each connection wait for a moment, to find out senders that do not; one connection is enough here.
vi.mock('../../example-app/mailer.js', async (original) => {
  const mailer = await original<typeof import('../../example-app/mailer.js')>()
  return { ...mailer, createMailer: (port: number) => mailer.createMailer(port, { pool: true }) }
})

const dataDir = mkdtempSync(join(tmpdir(), 'sidework-example-test-'))
// Small, because how pictures come out is not what these tests are about.
const smallPhoto = await sharp({ create: { width: 4, height: 3, channels: 3, background: 'teal' } })
  .jpeg()
  .toBuffer()
let database: Database
let mailServer: MailServer
let people = 0
let schedulers = 0

beforeAll(async () => {
  database = openDatabase(dataDir)
  mailServer = new MailServer({ port: 0, onMail: (mail) => database.keepMail(mail) })
  await mailServer.start()
  vi.stubEnv('DATA_DIR', dataDir)
  vi.stubEnv('SMTP_PORT', String(mailServer.port))
  vi.stubEnv('PUBLIC_URL', 'http://example.test')
})

afterAll(async () => {
  await mailServer.stop()
  database.close()
  rmSync(dataDir, { recursive: true, force: true })
})

beforeEach(() => mailServer.start())

/** The app with a scheduler of its own, which must have nothing left when the test ends. */
function start(options: { maxQueued?: number } = {}) {
  // A seed of its own: ids repeat with the seed, and the inbox takes mails of one job for one.
  const scheduler = createTestScheduler({ strict: true, seed: ++schedulers, ...options })
  onTestFinished(async () => void (await scheduler.close()))
  const cron = startSchedules(scheduler)
  return { scheduler, agent: request(createApp({ scheduler, cron, database, mailServer, dataDir })) }
}

function person(overrides: object = {}) {
  const email = `asha-${++people}@example.com`
  return { name: 'Asha', email, password: 'correct horse', ...overrides }
}

type Agent = ReturnType<typeof start>['agent']

const upload = (agent: Agent) => agent.post('/photos').attach('photo', smallPhoto, 'cat.jpg')

/** Somebody who has signed up and followed the link. */
async function loggedIn(scheduler: TestScheduler, agent: Agent) {
  const { name, email, password } = person()
  await agent.post('/signup').send({ name, email, password }).expect(202)
  await scheduler.run()
  const [, path = ''] = /http:\/\/example\.test(\/verify\/\S+)/.exec(mailsTo(email)[0]?.text ?? '') ?? []
  const { headers } = await agent.get(path).set('Accept', 'application/json').expect(200)
  const [cookie = ''] = headers['set-cookie']?.[0]?.split(';') ?? []
  return { email, cookie }
}

const mailsTo = (address: string) => database.mails().filter(({ to }) => to === address)
const payloads = (scheduler: TestScheduler) => scheduler.deferred().map(({ payload }) => payload)

describe('the app', { repeats: Number(process.env['REPEATS'] ?? 0) }, () => {
  describe('a sign-up', () => {
    test('is answered before the mail is sent, which names the user and no more', async () => {
      const { scheduler, agent } = start()
      const asha = person()
      const { body } = await agent.post('/signup').send(asha).expect(202)
      expect(scheduler).toHaveDeferred(sendVerificationMail, { userId: body.userId }, { times: 1 })
      expect(mailsTo(asha.email)).toEqual([])
      await agent.get(body.links.self).expect(200, /"state":"ready"/)
      await scheduler.run()
      await agent.get(body.links.self).expect(200, /"state":"completed"/)
      expect(mailsTo(asha.email)).toMatchObject([{ subject: 'Please verify your email address' }])
    })

    test('is verified by the link of its mail', async () => {
      const { scheduler, agent } = start()
      const asha = person()
      await agent.post('/signup').send(asha).expect(202)
      await scheduler.run()
      const [, path = ''] =
        /http:\/\/example\.test(\/verify\/\S+)/.exec(mailsTo(asha.email)[0]?.text ?? '') ?? []
      await agent.get(path).set('Accept', 'application/json').expect(200, { verified: true })
      await agent.get('/verify/unknown').set('Accept', 'application/json').expect(404)
    })

    test.each([
      ['no name', { name: ' ' }, 'name'],
      ['a name that forges a line', { name: 'Asha\nBcc: eve' }, 'name'],
      ['a very long name', { name: 'x'.repeat(101) }, 'name'],
      ['no address', { email: '' }, 'email'],
      ['what is no address', { email: 'asha' }, 'email'],
      ['an address with a space', { email: 'asha @example.com' }, 'email'],
      ['a short password', { password: 'short' }, 'password'],
      ['a very long password', { password: 'x'.repeat(201) }, 'password'],
      ['a number for a name', { name: 7 }, 'name'],
    ])('with %s is refused, and defers nothing', async (_what, overrides, field) => {
      const { scheduler, agent } = start()
      const { body } = await agent.post('/signup').send(person(overrides)).expect(400)
      expect(body.errors.map((error: { field: string }) => error.field)).toContain(field)
      expect(scheduler).not.toHaveDeferred(sendVerificationMail)
    })

    test('with a taken address is refused, and defers no second mail', async () => {
      const { scheduler, agent } = start()
      const asha = person()
      await agent.post('/signup').send(asha).expect(202)
      await agent
        .post('/signup')
        .send({ ...asha, name: 'Eve' })
        .expect(409)
      expect(scheduler).toHaveDeferred(sendVerificationMail, undefined, { times: 1 })
      await scheduler.run()
      expect(mailsTo(asha.email)).toHaveLength(1)
    })

    test('of the same address twice at once makes one user and one mail', async () => {
      const { scheduler, agent } = start()
      const asha = person()
      hashing.crowd = 2
      onTestFinished(() => void (hashing.crowd = 1))
      const answers = await Promise.all([agent.post('/signup').send(asha), agent.post('/signup').send(asha)])
      expect(answers.map(({ status }) => status).sort()).toEqual([202, 409])
      expect(scheduler).toHaveDeferred(sendVerificationMail, undefined, { times: 1 })
      await scheduler.run()
    })

    test('that cannot be queued leaves no half user behind', async () => {
      const { scheduler, agent } = start({ maxQueued: 1 })
      await agent.post('/signup').send(person()).expect(202)
      const late = person()
      const { headers } = await agent.post('/signup').send(late).expect(503)
      expect(headers['retry-after']).toBeDefined()
      expect(database.hasUser(late.email)).toBe(false)
      await scheduler.run()
      await agent.post('/signup').send(late).expect(202)
      await scheduler.run()
      expect(mailsTo(late.email)).toHaveLength(1)
    })
  })

  describe('a mail', () => {
    test('is sent when the mail server is back, after a minute without', async () => {
      const { scheduler, agent } = start()
      const asha = person()
      await mailServer.stop()
      const { body } = await agent.post('/signup').send(asha).expect(202)
      await scheduler.advance('1m')
      await agent.get(body.links.self).expect(200, /"state":"retrying"/)
      expect(scheduler).toHaveRetried(sendVerificationMail, { error: 'The mail server cannot be reached' })
      expect(mailsTo(asha.email)).toEqual([])
      await mailServer.start()
      await scheduler.advance('6s')
      expect(scheduler).toHaveSettled(sendVerificationMail, 'completed')
      expect(mailsTo(asha.email)).toHaveLength(1)
    })

    test('is tried twenty times, at first after 1, 2 and 4 seconds, later every 5', async () => {
      const { scheduler, agent } = start()
      scheduler.failNext(sendVerificationMail, new Error('busy'), 20)
      await agent.post('/signup').send(person()).expect(202)
      await scheduler.advance('2m')
      const after = ['1s', '2s', '4s', ...Array.from({ length: 16 }, () => '5s' as const)] as const
      expect(scheduler).toHaveRetried(sendVerificationMail, { times: 19, after })
      expect(scheduler).toHaveSettled(sendVerificationMail, { state: 'failed', attempt: 20 })
    })

    test('to an address that never exists is not tried again', async () => {
      const { scheduler, agent } = start()
      await agent
        .post('/signup')
        .send(person({ email: `nobody-${++people}@example.invalid` }))
        .expect(202)
      await scheduler.run()
      expect(scheduler).toHaveSettled(sendVerificationMail, { state: 'failed', attempt: 1, error: 'refused' })
    })

    test('is sent once, though its job runs again', async () => {
      const { scheduler, agent } = start()
      const asha = person()
      const { body } = await agent.post('/signup').send(asha).expect(202)
      await scheduler.run()
      scheduler.defer(sendVerificationMail, { userId: body.userId })
      await scheduler.run()
      expect(scheduler).toHaveSettled(sendVerificationMail, { state: 'completed', times: 2 })
      expect(mailsTo(asha.email)).toHaveLength(1)
    })

    test('to nobody fails for good', async () => {
      const { scheduler } = start()
      scheduler.defer(sendVerificationMail, { userId: 'nobody' })
      expect(await scheduler.run()).toMatchObject([
        { state: 'failed', attempt: 1, error: { message: 'There is no user nobody.' } },
      ])
    })
  })

  describe('a photo', () => {
    test('gets its three sizes, told while they are made', async () => {
      const { scheduler, agent } = start()
      const { body } = await upload(agent).expect(202)
      expect(scheduler).toHaveDeferred(resizePhoto, { photoId: body.photo })
      const before = await agent.get(`/photos/${body.photo}`).expect(200)
      expect(before.body).toMatchObject({ state: 'ready', sizes: { small: null, medium: null, large: null } })
      await scheduler.run()
      const { body: after } = await agent.get(`/photos/${body.photo}`).expect(200)
      expect(after.state).toBe('completed')
      for (const url of Object.values(after.sizes as Record<string, string>)) {
        await agent
          .get(url)
          .expect(200)
          .expect('Content-Type', /image\/webp/)
      }
      const { body: flow } = await agent.get(body.links.self).expect(200)
      expect(flow).toMatchObject({ state: 'completed', progress: { total: 4, completed: 4, failed: 0 } })
    })

    test('is resized first, then cut twice, then told of', async () => {
      const { scheduler, agent } = start()
      await upload(agent).expect(202)
      await scheduler.run()
      const started = scheduler.trace().flatMap((entry) => (entry.event === 'started' ? [entry.task] : []))
      expect(started).toEqual(
        [resizePhoto, makeThumbnail, makeThumbnail, notifyOwner].map(({ name }) => name),
      )
    })

    test('of somebody who is logged in is told of by mail, once the thumbnails are there', async () => {
      const { scheduler, agent } = start()
      const { cookie, email } = await loggedIn(scheduler, agent)
      scheduler.failNext(makeThumbnail, new Error('disk full'), 1)
      const { body } = await upload(agent).set('Cookie', cookie).expect(202)
      await scheduler.run()
      expect(mailsTo(email)).toHaveLength(1)
      await scheduler.advance('2s')
      expect(mailsTo(email)[0]).toMatchObject({
        subject: 'Your photo is ready',
        text: expect.stringContaining(`http://example.test/photos/${body.photo}/large`) as string,
      })
    })

    test('that is none is refused for good, and its page says why', async () => {
      const { scheduler, agent } = start()
      const { body } = await agent
        .post('/photos')
        .attach('photo', Buffer.from('hello'), 'cat.jpg')
        .expect(202)
      await scheduler.run()
      expect(scheduler).toHaveSettled(resizePhoto, { state: 'failed', attempt: 1 })
      expect(scheduler).toHaveSettled(makeThumbnail, { state: 'cancelled', times: 2 })
      const { body: photo } = await agent.get(`/photos/${body.photo}`).expect(200)
      expect(photo).toMatchObject({
        state: 'failed',
        error: expect.stringContaining('cannot be read as a photo') as string,
      })
    })

    test('that is missing is refused, and defers nothing', async () => {
      const { scheduler, agent } = start()
      await agent.post('/photos').expect(400)
      expect(payloads(scheduler)).toEqual([])
    })

    test('that fails twice is made at the third attempt', async () => {
      const { scheduler, agent } = start()
      scheduler.failNext(resizePhoto, new Error('disk full'), 2)
      await upload(agent).expect(202)
      await scheduler.advance('10s')
      expect(scheduler).toHaveRetried(resizePhoto, { after: ['1s', '2s'] })
      expect(scheduler).toHaveSettled(resizePhoto, { state: 'completed', attempt: 3 })
    })

    test('that is not known is not found', async () => {
      const { agent } = start()
      await agent.get('/photos/nothing').expect(404)
      await agent.get('/photos/nothing/small').expect(404)
    })
  })

  describe('an account', () => {
    test('is deleted photo by photo and mail by mail, the user at the end', async () => {
      const { scheduler, agent } = start()
      const { cookie, email } = await loggedIn(scheduler, agent)
      const photos: string[] = []
      for (let n = 0; n < 2; n++) photos.push((await upload(agent).set('Cookie', cookie)).body.photo)
      await scheduler.run()
      const { body } = await agent.delete('/account').set('Cookie', cookie).expect(202)
      expect(scheduler).toHaveDeferred(eraseItem, { photoId: photos[0] ?? '' })
      expect(body.items).toBe(5)
      await scheduler.run()
      const { body: batch } = await agent.get(body.links.self).expect(200)
      expect(batch).toMatchObject({ flow: 'batch', state: 'completed', progress: { total: 5, completed: 5 } })
      expect(scheduler).toHaveSettled(closeAccount, { state: 'completed', times: 1 })
      expect([database.hasUser(email), mailsTo(email)]).toEqual([false, []])
      for (const photo of photos) await agent.get(`/photos/${photo}`).expect(404)
      const files = readdirSync(join(dataDir, 'photos'))
      expect(files.filter((file) => photos.some((photo) => file.startsWith(photo)))).toEqual([])
      await agent.get('/account').set('Cookie', cookie).expect(200, { account: null })
    })

    test('stays when a part of it cannot be deleted', async () => {
      const { scheduler, agent } = start()
      const { cookie, email } = await loggedIn(scheduler, agent)
      await agent.delete('/account').set('Cookie', cookie).expect(202)
      scheduler.failNext(eraseItem, new Error('disk full'), 5)
      await scheduler.advance('1m')
      expect(scheduler).toHaveSettled(closeAccount, { state: 'failed', error: '1 of 1 items could not be' })
      expect(database.hasUser(email)).toBe(true)
    })

    test('with a photo that is being made takes that photo along', async () => {
      const { scheduler, agent } = start()
      const { cookie } = await loggedIn(scheduler, agent)
      const { body } = await upload(agent).set('Cookie', cookie).expect(202)
      await agent.delete('/account').set('Cookie', cookie).expect(202)
      await scheduler.run()
      expect(scheduler).toHaveSettled(resizePhoto, 'cancelled')
      await agent.get(`/photos/${body.photo}`).expect(404)
    })

    test('is shown to its owner and deleted by nobody else', async () => {
      const { scheduler, agent } = start()
      const { cookie, email } = await loggedIn(scheduler, agent)
      const { body } = await agent.get('/account').set('Cookie', cookie).expect(200)
      expect(body).toEqual({ account: { name: 'Asha', email, photos: 0 } })
      await agent.delete('/account').expect(401)
      await agent.delete('/account').set('Cookie', 'log-in=guessed').expect(401)
      expect(scheduler).not.toHaveDeferred(eraseItem)
    })
  })
})
