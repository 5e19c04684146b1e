/**
 * Reads the plain-text mails that this app sends itself: one text part, an ASCII subject. Not a mail parser for the
 * world (that is `mailparser`), just enough to show what arrived.
 */

export interface ReceivedMail {
  readonly messageId: string
  readonly subject: string
  readonly text: string
}

/** @param source the message as SMTP delivered it */
export function readMail(source: Buffer): ReceivedMail {
  const raw = source.toString('latin1')
  const end = raw.indexOf('\r\n\r\n')
  const headers = readHeaders(end === -1 ? raw : raw.slice(0, end))
  const body = end === -1 ? '' : raw.slice(end + 4)
  return {
    messageId: headers.get('message-id') ?? '',
    subject: headers.get('subject') ?? '',
    text: decode(body, headers.get('content-transfer-encoding')).replaceAll('\r\n', '\n').trim(),
  }
}

function readHeaders(head: string): Map<string, string> {
  // A line that begins with white space continues the one before (RFC 5322, 2.2.3).
  const lines = head.replace(/\r\n[ \t]+/g, ' ').split('\r\n')
  return new Map(
    lines.map((line) => {
      const colon = line.indexOf(':')
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
    }),
  )
}

function decode(body: string, encoding = '7bit'): string {
  switch (encoding.toLowerCase()) {
    case 'base64':
      return Buffer.from(body, 'base64').toString('utf8')
    case 'quoted-printable':
      return Buffer.from(unquote(body), 'latin1').toString('utf8')
    default:
      return Buffer.from(body, 'latin1').toString('utf8')
  }
}

/** RFC 2045, 6.7: a `=` at the end of a line joins it to the next; `=C3` is a byte. */
function unquote(body: string): string {
  return body
    .replace(/=\r\n/g, '')
    .replace(/=([0-9A-F]{2})/gi, (_match, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}
