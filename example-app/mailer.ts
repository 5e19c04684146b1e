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

/** @param port of the mail server on the loopback address */
export function createMailer(port: number): Mailer {
  // No pool: an idle connection would keep a thread from being recycled, and one mail a second needs none.
  const transport = createTransport({
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
        throw isRefusal(error)
          ? new MailRefusedError(`The mail was refused: ${error.response}`, { cause: error })
          : error
      }
    },
  }
}

function isRefusal(error: unknown): error is Error & { response: string } {
  if (!(error instanceof Error) || !('responseCode' in error)) return false
  return typeof error.responseCode === 'number' && error.responseCode >= 500 && 'response' in error
}
