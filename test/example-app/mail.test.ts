import { connect } from 'node:net'
import { once } from 'node:events'
import { expect, onTestFinished, test } from 'vitest'
import type { Mail } from '../../example-app/database.js'
import { MailServer } from '../../example-app/mail-server.js'
import { createMailer, MailRefusedError, type OutgoingMail } from '../../example-app/mailer.js'

const { signal } = new AbortController()

const outgoing = (overrides: Partial<OutgoingMail> = {}): OutgoingMail => ({
  messageId: '<job-1@sidework.example>',
  to: { name: 'Asha', address: 'asha@example.com' },
  subject: 'Please verify your email address',
  text: 'Hello Asha',
  ...overrides,
})

async function startMailServer(onMail?: (mail: Mail) => void) {
  const mails: Mail[] = []
  const server = new MailServer({ port: 0, onMail: onMail ?? ((mail) => mails.push(mail)) })
  await server.start()
  onTestFinished(() => server.stop())
  return { server, mails, mailer: createMailer(server.port) }
}

test('a mail that is sent arrives', async () => {
  const { mails, mailer } = await startMailServer()
  await mailer.send(outgoing(), { signal })
  expect(mails).toEqual([
    {
      messageId: '<job-1@sidework.example>',
      to: 'asha@example.com',
      subject: 'Please verify your email address',
      text: 'Hello Asha',
    },
  ])
})

test.each([
  ['letters beyond ASCII', 'Hallo Åsha,\nжурнал 日本語 😀'],
  ['a line that must be folded', `Åsha ${'long '.repeat(400)}end`],
  ['a long link', `http://localhost:3000/verify/${'x'.repeat(300)}`],
  ['an equals sign and lines that begin with a dot', '.\na=3D b\n..\nend'],
])('a text with %s arrives as it was', async (_what, text) => {
  const { mails, mailer } = await startMailServer()
  await mailer.send(outgoing({ text }), { signal })
  expect(mails[0]?.text).toBe(text)
})

test('a name cannot smuggle a header or a second recipient into the mail', async () => {
  const { mails, mailer } = await startMailServer()
  const name = 'Asha" <eve@example.com>\r\nSubject: forged'
  await mailer.send(outgoing({ to: { name, address: 'asha@example.com' } }), { signal })
  expect(mails[0]).toMatchObject({ to: 'asha@example.com', subject: 'Please verify your email address' })
})

test('while the mail server is down sending fails in plain words, and not for good', async () => {
  const { server, mailer } = await startMailServer()
  await server.stop()
  expect(server.isUp).toBe(false)
  const failure = mailer.send(outgoing(), { signal })
  await expect(failure).rejects.toThrow(/^The mail server cannot be reached \(.*ECONNREFUSED/)
  await expect(failure).rejects.not.toBeInstanceOf(MailRefusedError)
})

test('a mail server that comes back is found at the same port', async () => {
  const { server, mails, mailer } = await startMailServer()
  await server.stop()
  await server.start()
  expect(server.isUp).toBe(true)
  await mailer.send(outgoing(), { signal })
  expect(mails).toHaveLength(1)
})

test('a connection that is kept for the next mail carries it, and does not hold up the end of the server', async () => {
  const { server, mails } = await startMailServer()
  const mailer = createMailer(server.port, { pool: true })
  for (const messageId of ['<1@sidework.example>', '<2@sidework.example>'])
    await mailer.send(outgoing({ messageId }), { signal })
  expect(mails).toHaveLength(2)
  const stoppedAt = performance.now()
  await server.stop()
  expect(performance.now() - stoppedAt).toBeLessThan(500)
  await server.start()
  await mailer.send(outgoing({ messageId: '<3@sidework.example>' }), { signal })
  expect(mails).toHaveLength(3)
})

test('switching quickly ends with the last wish', async () => {
  const { server, mails, mailer } = await startMailServer()
  await Promise.all([server.stop(), server.start(), server.start(), server.stop(), server.start()])
  expect(server.isUp).toBe(true)
  await mailer.send(outgoing(), { signal })
  expect(mails).toHaveLength(1)
})

test('starting at a taken port says so, and the next start works', async () => {
  const { server } = await startMailServer()
  const second = new MailServer({ port: server.port, onMail: () => undefined })
  onTestFinished(() => second.stop())
  await expect(second.start()).rejects.toThrow('EADDRINUSE')
  expect(second.isUp).toBe(false)
  await server.stop()
  await second.start()
  expect(second.isUp).toBe(true)
})

test('an address that never exists is refused for good', async () => {
  const { mails, mailer } = await startMailServer()
  const failure = mailer.send(outgoing({ to: { name: 'No', address: 'nobody@example.invalid' } }), { signal })
  await expect(failure).rejects.toBeInstanceOf(MailRefusedError)
  await expect(failure).rejects.toThrow('550')
  expect(mails).toHaveLength(0)
})

test('a mail that is too large is refused for good', async () => {
  const { mails, mailer } = await startMailServer()
  const failure = mailer.send(outgoing({ text: 'x'.repeat(100_000) }), { signal })
  await expect(failure).rejects.toBeInstanceOf(MailRefusedError)
  expect(mails).toHaveLength(0)
})

test('a mail that cannot be kept is not taken: the sender may try again', async () => {
  const { mailer } = await startMailServer(() => {
    throw Object.assign(new Error('The disk is full'), { responseCode: 452 })
  })
  const failure = mailer.send(outgoing(), { signal })
  await expect(failure).rejects.toThrow('452')
  await expect(failure).rejects.not.toBeInstanceOf(MailRefusedError)
})

test('an aborted sending ends', async () => {
  const { mailer } = await startMailServer()
  await expect(mailer.send(outgoing(), { signal: AbortSignal.abort() })).rejects.toThrow()
})

test('a client that breaks off does not harm the mail server', async () => {
  const { server, mails, mailer } = await startMailServer()
  const socket = connect(server.port, '127.0.0.1')
  await once(socket, 'data')
  socket.write('HELO me\r\nMAIL FROM:<a@b.c>\r\n')
  await once(socket, 'data')
  socket.resetAndDestroy()
  await mailer.send(outgoing(), { signal })
  expect(mails).toHaveLength(1)
})
