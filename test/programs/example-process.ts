/** Runs the example as a process of its own, the way a person starts it, and follows its jobs over HTTP. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))

export interface Example {
  readonly url: string
  /** Sends the signal and answers the exit code; `null` when the signal itself ended the process. */
  end(signal: NodeJS.Signals): Promise<number | null>
}

/** Resolves when it listens; rejects with what it printed when it ends before. */
export async function startExample(dataDir: string, settings: Record<string, string> = {}): Promise<Example> {
  // Only what it needs: the variables of a test runner would change how its threads load TypeScript.
  const env = {
    PATH: process.env['PATH'],
    HOME: process.env['HOME'],
    PORT: '0',
    DATA_DIR: dataDir,
    ...settings,
  }
  const child = spawn(process.execPath, ['--import', 'tsx', 'example-app/server.ts'], {
    cwd: root,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const exited = once(child, 'close') as Promise<[number | null]> // when all it printed has been read
  let printed = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (printed += text))
  const url = await new Promise<string>((resolve, reject) => {
    createInterface(child.stdout).on('line', (line) => {
      printed += `${line}\n`
      const [, found] = /^Sidework example: (http:\S+)$/.exec(line) ?? []
      if (found !== undefined) resolve(found)
    })
    void exited.then(([code]) => reject(new Error(`The example ended with ${code}:\n${printed}`)))
  })
  return {
    url,
    async end(signal) {
      child.kill(signal)
      const [code] = await exited
      return code
    },
  }
}

/** What the job endpoints tell of a job. */
export interface JobStatus {
  readonly id: string
  readonly state: string
  readonly attempt: number
  readonly maxAttempts: number
  readonly runAt: number
  readonly progress?: unknown
  readonly error?: { readonly name: string; readonly message: string }
}

/** The states of a job as its event stream tells them, the current one first, until it has settled. */
export async function* followJob(url: string, id: string): AsyncGenerator<JobStatus> {
  const response = await fetch(`${url}/jobs/${id}/events`)
  if (!response.ok || response.body === null)
    throw new Error(`GET ${response.url} answered ${response.status}`)
  for await (const data of eventData(response.body)) yield JSON.parse(data) as JobStatus // the app's own answer
}

/** Waits on the event stream until the job is in this state. */
export async function untilState(url: string, id: string, state: string): Promise<JobStatus> {
  const seen: string[] = []
  for await (const status of followJob(url, id)) {
    if (status.state === state) return status
    seen.push(`${status.state} (attempt ${status.attempt}, ${status.error?.message ?? 'no error'})`)
  }
  throw new Error(`Job ${id} was never ${state}: ${seen.join(', ')}`)
}

/** The data of server-sent events (WHATWG HTML §9.2), one line each as our streams have them. */
async function* eventData(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const bytes of body) {
    const blocks = (rest + decoder.decode(bytes, { stream: true })).split('\n\n')
    rest = blocks.pop() ?? ''
    for (const block of blocks) {
      const data = block.split('\n').find((line) => line.startsWith('data: '))
      if (data !== undefined) yield data.slice('data: '.length)
    }
  }
}
