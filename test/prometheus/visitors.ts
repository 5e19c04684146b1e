/** Visitors of the example app: what they do, and what its counters must therefore say. */
import { readFileSync } from 'node:fs'
import { untilState } from '../programs/example-process.js'

const samplePhoto = readFileSync(new URL('../../example-app/sample-photo.jpg', import.meta.url))
export const mail = 'send-verification-mail'
export const photo = 'resize-photo'

/** What the visitors saw, by task. */
export interface Seen {
  accepted: number
  deduplicated: number
  /** 503. */
  refused: number
  completed: number
  failed: number
  /** Of all jobs that settled. */
  attempts: number
}

export class Visitors {
  readonly seen: Record<string, Seen> = { [mail]: nothing(), [photo]: nothing() }
  readonly #url: string
  #last = 0

  constructor(url: string) {
    this.#url = url
  }

  /** Signs somebody up. @returns the job and the user, or undefined when refused */
  async signUp(domain = 'example.com'): Promise<{ job: string; userId: string } | undefined> {
    const email = `visitor${++this.#last}@${domain}`
    return this.#note(mail, await this.#post('/signup', { name: 'Asha', email, password: 'correct horse' }))
  }

  async askAgain(userId: string): Promise<{ job: string } | undefined> {
    return this.#note(mail, await this.#post('/signup/again', { userId }))
  }

  async uploadPhoto(
    content: Uint8Array<ArrayBuffer> = new Uint8Array(samplePhoto),
  ): Promise<{ job: string; photo: string } | undefined> {
    const form = new FormData()
    form.append('photo', new Blob([content]), 'photo.jpg')
    return this.#note(photo, await fetch(`${this.#url}/photos`, { method: 'POST', body: form }))
  }

  async mailServer(up: boolean): Promise<void> {
    await this.#post('/mail-server', { up })
  }

  /** Waits until the job has come to its end. */
  async settled(task: string, job: string, end: 'completed' | 'failed'): Promise<void> {
    const { attempt } = await untilState(this.#url, job, end)
    const seen = this.#of(task)
    seen[end]++
    seen.attempts += attempt
  }

  /** Waits until all steps of a photo have; the first one is counted, whose id is the photo's. */
  async photoSettled(
    { job, photo: resized }: { job: string; photo: string },
    end: 'completed' | 'failed',
  ): Promise<void> {
    await untilState(this.#url, job, end)
    await this.settled(photo, resized, end)
  }

  async retrying(job: string): Promise<void> {
    await untilState(this.#url, job, 'retrying')
  }

  async #note<T extends { job: string; userId?: string; deduplicated?: boolean }>(
    task: string,
    response: Response,
  ): Promise<T | undefined> {
    const seen = this.#of(task)
    const body = (await response.json()) as T // the app's own answer
    if (response.status === 503) seen.refused++
    else if (response.status !== 202)
      throw new Error(`${response.url} answered ${response.status}: ${JSON.stringify(body)}`)
    else if (body.deduplicated === true) seen.deduplicated++
    else seen.accepted++
    return response.status === 503 ? undefined : body
  }

  #of(task: string): Seen {
    return (this.seen[task] ??= nothing())
  }

  #post(path: string, body: object): Promise<Response> {
    const headers = { 'Content-Type': 'application/json' }
    return fetch(this.#url + path, { method: 'POST', headers, body: JSON.stringify(body) })
  }
}

function nothing(): Seen {
  return { accepted: 0, deduplicated: 0, refused: 0, completed: 0, failed: 0, attempts: 0 }
}
