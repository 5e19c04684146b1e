/**
 * The mail server of the demo: a real SMTP server on the loopback address, inside the main process. It can be stopped
 * and started again on the same port, to watch jobs being retried and recovering.
 */
import type { AddressInfo } from 'node:net'
import { SMTPServer, type SMTPServerDataStream, type SMTPServerSession } from 'smtp-server'
import type { Mail } from './database.js'
import { readMail } from './read-mail.js'

const host = '127.0.0.1'
const maxMailBytes = 64 * 1024

export interface MailServerOptions {
  /** 0 picks a free one at the first start; it stays the same from then on. */
  readonly port: number
  /** Keeps a mail; when it throws, the sender is told to try again later. */
  readonly onMail: (mail: Mail) => void
}

export class MailServer {
  #port: number
  readonly #onMail: MailServerOptions['onMail']
  #running: SMTPServer | undefined
  /** Starts and stops happen one after the other, in the order of the calls. */
  #last: Promise<void> = Promise.resolve()

  constructor({ port, onMail }: MailServerOptions) {
    this.#port = port
    this.#onMail = onMail
  }

  /** The port it listens on, or will listen on again. */
  get port(): number {
    return this.#port
  }

  get isUp(): boolean {
    return this.#running !== undefined
  }

  /** @throws when the port is taken */
  start(): Promise<void> {
    return this.#next(async () => {
      if (this.#running !== undefined) return
      const server = smtpServer(this.#onMail)
      this.#port = await listen(server, this.#port)
      // A connection that breaks is the sender's problem (its job is retried); without a listener it would be ours.
      server.on('error', () => undefined)
      this.#running = server
    })
  }

  /** Stops listening and ends idle connections; mails in flight have a second to finish. */
  stop(): Promise<void> {
    return this.#next(async () => {
      const server = this.#running
      this.#running = undefined
      if (server !== undefined) await close(server)
    })
  }

  #next(step: () => Promise<void>): Promise<void> {
    const done = this.#last.then(step)
    this.#last = done.catch(() => undefined) // whoever asked for the step hears of its failure through `done`
    return done
  }
}

function smtpServer(onMail: (mail: Mail) => void): SMTPServer {
  return new SMTPServer({
    authOptional: true,
    disabledCommands: ['AUTH', 'STARTTLS'],
    disableReverseLookup: true,
    size: maxMailBytes,
    closeTimeout: 1_000,
    onRcptTo({ address }, _session, callback) {
      // The names under .invalid never exist (RFC 2606): an address to watch a job fail for good with.
      if (address.toLowerCase().endsWith('.invalid')) callback(refusal(550, 'There is no such mailbox'))
      else callback()
    },
    onData(stream, session, callback) {
      receive(stream, session)
        .then(onMail)
        .then(() => callback(), callback)
    },
  })
}

function listen(server: SMTPServer, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve((server.server.address() as AddressInfo).port) // a TCP server that listens has an AddressInfo
    })
  })
}

function close(server: SMTPServer): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    for (const connection of server.connections) {
      // One that has not been greeted yet has no envelope.
      const { envelope } = connection.session as Partial<SMTPServerSession>
      if ((envelope?.mailFrom ?? false) === false) connection.close()
    }
  })
}

async function receive(stream: SMTPServerDataStream, session: SMTPServerSession): Promise<Mail> {
  const chunks: Buffer[] = []
  // Read to its end even when too large, or the sender would never get its answer; keep no more than is allowed.
  for await (const chunk of stream as AsyncIterable<Buffer>) if (!stream.sizeExceeded) chunks.push(chunk)
  if (stream.sizeExceeded) throw refusal(552, `A mail can have up to ${maxMailBytes} bytes`)
  const to = session.envelope.rcptTo.map(({ address }) => address).join(', ')
  return { to, ...readMail(Buffer.concat(chunks)) }
}

function refusal(responseCode: number, message: string): Error {
  return Object.assign(new Error(message), { responseCode })
}
