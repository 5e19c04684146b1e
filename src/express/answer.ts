/** Answers in JSON and in problem details, with Node's response only, so that any connect-style framework will do. */
import type { ServerResponse } from 'node:http'

/** Response headers by name. */
export type Headers = Readonly<Record<string, string>>

/** What the job endpoints say on every answer: for this page only, not for caches, not to be guessed at. */
export const endpointHeaders: Headers = {
  'Cache-Control': 'no-store',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'X-Content-Type-Options': 'nosniff',
}

/** Ends the response with JSON text. */
export function answerJson(res: ServerResponse, status: number, json: string, headers: Headers): void {
  answer(res, status, json, { 'Content-Type': 'application/json; charset=utf-8', ...headers })
}

/** Ends the response with problem details (RFC 9457) of type about:blank. */
export function answerProblem(
  res: ServerResponse,
  status: number,
  title: string,
  detail: string,
  headers: Headers = {},
): void {
  const problem = JSON.stringify({ type: 'about:blank', title, status, detail })
  answer(res, status, problem, { 'Content-Type': 'application/problem+json', ...endpointHeaders, ...headers })
}

function answer(res: ServerResponse, status: number, body: string, headers: Headers): void {
  res.statusCode = status
  for (const [name, value] of Object.entries(headers)) res.setHeader(name, value)
  res.setHeader('Content-Length', Buffer.byteLength(body))
  res.end(body)
}
