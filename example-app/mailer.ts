/** Sends mails over SMTP. Knows nothing of jobs: it sends or throws, and says whether trying again can help. */
import { createTransport } from 'nodemailer'

export interface OutgoingMail {
  /** The same for every attempt to send the same mail, so that receivers can tell a repetition. */
  readonly messageId: string
  readonly to: { readonly name: string; readonly address: string }
  readonly subject: string
  readonly text: string
}

/** The mail server will never take this mail (an SMTP answer of 500–599, RFC 5321, 4.2.1). */
export class MailRefusedError extends Error {
  override name = 'MailRefusedError'
}

export interface Mailer {
  /**
   * Resolves when the mail server has taken the mail.
   * @throws MailRefusedError when it never will; anything else may pass
   */
  send(mail: OutgoingMail, options: { signal: AbortSignal }): Promise<void>
}

export interface MailerOptions {
  /**
   * Keeps connections for the next mail, of which most servers make the first wait. Default: false, as an idle connection
   * would keep a thread from being recycled, and one mail a second needs none.
   */
  readonly pool?: boolean
}

/** @param port of the mail server on the loopback address */
export function createMailer(port: number, { pool = false }: MailerOptions = {}): Mailer {
  const transport = createTransport({
    pool,
    host: '127.0.0.1',
    port,
    secure: false,
    ignoreTLS: true,
    connectionTimeout: 2_000,
    greetingTimeout: 2_000,
    socketTimeout: 5_000,
  })
  return {
    async send(mail, { signal }) {
      const from = { name: 'Sidework example', address: 'hello@sidework.example' }
      try {
        await transport.sendMail({ ...mail, from, signal, disableFileAccess: true, disableUrlAccess: true })
      } catch (error) {
        throw explained(error)
      }
    },
  }
}

/** The same error for people: refused for good, not reachable, or as it is. */
function explained(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const { responseCode, response, code } = error as Error & SmtpErrorFields // each may be missing
  if (responseCode !== undefined && responseCode >= 500) {
    return new MailRefusedError(`The mail was refused: ${response}`, { cause: error })
  }
  if (code === undefined || !unreachable.has(code)) return error
  return new Error(`The mail server cannot be reached (${error.message}).`, { cause: error })
}

/** What nodemailer adds to its errors: the server's answer, or its own code. */
interface SmtpErrorFields {
  responseCode?: number
  response?: string
  code?: string
}

const unreachable = new Set(['ECONNECTION', 'ECONNREFUSED', 'ESOCKET', 'ETIMEDOUT', 'EDNS'])
