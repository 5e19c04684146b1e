/** What all answers have in common: headers that keep browsers safe, and errors as `{ errors: [{ field, message }] }`. */
import type { ErrorRequestHandler, RequestHandler } from 'express'
import { MulterError } from 'multer'
import type { FieldError } from './sign-up.js'

/** Scripts, styles and pictures from here only; nothing inline, no frames. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ')

export const securityHeaders: RequestHandler = (_req, res, next) => {
  res.set({
    'Content-Security-Policy': policy,
    'X-Content-Type-Options': 'nosniff',
    // The address of a verify page is a secret; it must not travel to other sites.
    'Referrer-Policy': 'no-referrer',
  })
  next()
}

/** The body of an answer with one reason. */
export function fieldError(field: string, message: string): { errors: FieldError[] } {
  return { errors: [{ field, message }] }
}

/** The last handler of the app. What went wrong inside is logged, not told. */
export const answerErrors: ErrorRequestHandler = (error: unknown, _req, res, next) => {
  if (res.headersSent) return next(error)
  if (error instanceof MulterError) {
    const isTooLarge = error.code === 'LIMIT_FILE_SIZE'
    const message = isTooLarge ? 'The photo is larger than 10 MB. Choose a smaller one.' : error.message
    return res.status(isTooLarge ? 413 : 400).json(fieldError('photo', message))
  }
  const { status, headers, message } = httpError(error)
  if (status >= 500) console.error(error)
  return res.status(status).set(headers).json(fieldError('request', message))
}

/** Body parsers and sidework put `status`, and what is fit to be told, on their errors. */
function httpError(error: unknown): { status: number; headers: Record<string, string>; message: string } {
  const unknown = { status: 500, headers: {}, message: 'Something went wrong here. Please try again.' }
  if (!(error instanceof Error) || !('status' in error) || typeof error.status !== 'number') return unknown
  // By convention (http-errors) `headers` of such an error is a plain object of strings.
  const headers = 'headers' in error ? ((error.headers ?? {}) as Record<string, string>) : {}
  if (error.status === 503)
    return {
      status: 503,
      headers,
      message: 'There is too much to do right now. Please try again in a moment.',
    }
  if (error.status >= 500) return unknown
  return { status: error.status, headers, message: error.message }
}
