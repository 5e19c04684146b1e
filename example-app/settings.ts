/**
 * What the environment decides. Threads inherit the environment of the process, so what the server finds out at its
 * start (a free port, say) reaches the tasks by the same names.
 */
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

export interface Settings {
  /** 0 picks a free one. */
  readonly port: number
  /** The address to listen on; the loopback one unless told otherwise, because the inbox is open to every visitor. */
  readonly host: string
  /** Database, photos and lost jobs live here. */
  readonly dataDir: string
  /** Of the embedded mail server on the loopback address; 0 picks a free one. */
  readonly smtpPort: number
  /** Most jobs at once; beyond that requests that would defer are answered with 503. */
  readonly maxQueued: number
  /** What the links in mails begin with. Never taken from a request: its Host header is the sender's to choose. */
  readonly publicUrl: string
}

/** @throws Error for a port that is not 0–65535, and for MAX_QUEUED that is no number from 1 */
export function readSettings(environment: NodeJS.ProcessEnv = process.env): Settings {
  const port = portNumber('PORT', environment['PORT'], 3000)
  return {
    port,
    host: environment['HOST'] || '127.0.0.1',
    dataDir: resolve(environment['DATA_DIR'] || join(tmpdir(), 'sidework-example')),
    smtpPort: portNumber('SMTP_PORT', environment['SMTP_PORT'], 0),
    maxQueued: count('MAX_QUEUED', environment['MAX_QUEUED'], 10_000),
    publicUrl: environment['PUBLIC_URL'] || `http://localhost:${port}`,
  }
}

function portNumber(name: string, value: string | undefined, otherwise: number): number {
  if (value === undefined || value === '') return otherwise
  const port = Number(value)
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port
  throw new Error(`${name} is '${value}'. Give a port from 0 to 65535; 0 picks a free one.`)
}

function count(name: string, value: string | undefined, otherwise: number): number {
  if (value === undefined || value === '') return otherwise
  const number = Number(value)
  if (Number.isInteger(number) && number >= 1) return number
  throw new Error(`${name} is '${value}'. Give a whole number from 1.`)
}
