/** A real Prometheus on the loopback address, and promtool: Debian's package, installed if need be. */
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Runs `prometheus` and `promtool`; installs them with apt-get where they are not there. */
export function installPrometheus(): void {
  if (isInstalled('prometheus') && isInstalled('promtool')) return
  const isRoot = process.getuid?.() === 0
  const apt = (...args: string[]): void => {
    const command = ['apt-get', '-q', ...args]
    const [file = '', ...rest] = isRoot ? command : ['sudo', '-n', ...command]
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
    execFileSync(file, rest, { stdio: ['ignore', 'ignore', 'inherit'], env })
  }
  apt('update')
  apt('install', '-y', '--no-install-recommends', 'prometheus')
}

function isInstalled(command: string): boolean {
  return spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0
}

/** Runs promtool. @throws Error with what it said unless it is content; its warnings count as complaints */
export function promtool(args: readonly string[], input = ''): void {
  const { status, stdout, stderr } = spawnSync('promtool', args, { input, encoding: 'utf8' })
  if (status !== 0) throw new Error(`promtool ${args.join(' ')} ended with ${status}:\n${stdout}${stderr}`)
}

export interface Sample {
  readonly metric: Readonly<Record<string, string>>
  readonly value: number
}

export interface Prometheus {
  /** The instant vector of the expression. @throws Error when it is not valid */
  query(expression: string): Promise<Sample[]>
  /** The rules it has loaded: name and health. */
  rules(): Promise<{ readonly name: string; readonly health: string }[]>
  stop(): Promise<void>
}

/** Starts one that scrapes `target` (host and port) once a second as job `example`, with these rules. */
export async function startPrometheus(target: string, rules: string): Promise<Prometheus> {
  const folder = mkdtempSync(join(tmpdir(), 'sidework-prometheus-'))
  const configuration = join(folder, 'prometheus.yml')
  const scrape = { job_name: 'example', static_configs: [{ targets: [target] }] }
  const settings = { global: { scrape_interval: '1s', evaluation_interval: '1s' }, rule_files: [rules] }
  // JSON is YAML.
  writeFileSync(configuration, JSON.stringify({ ...settings, scrape_configs: [scrape] }))
  promtool(['check', 'config', configuration])
  const address = `127.0.0.1:${await freePort()}`
  const child = spawn(
    'prometheus',
    [
      `--config.file=${configuration}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=${address}`,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  const exited = once(child, 'exit')
  await ready(child.stderr)
  const ask = async (path: string): Promise<Answer> => {
    const response = await fetch(`http://${address}/api/v1/${path}`)
    const { status, data, error } = (await response.json()) as {
      status: string
      data: Answer
      error?: string
    } // Prometheus's API
    if (status !== 'success') throw new Error(`Prometheus refused ${decodeURIComponent(path)}: ${error}`)
    return data
  }
  return {
    query: async (expression) => {
      const { result = [] } = await ask(`query?query=${encodeURIComponent(expression)}`)
      return result.map(({ metric, value: [, value] }) => ({ metric, value: Number(value) }))
    },
    rules: async () => ((await ask('rules')).groups ?? []).flatMap((group) => group.rules),
    async stop() {
      child.kill('SIGTERM')
      await exited
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

interface Answer {
  readonly result?: { readonly metric: Record<string, string>; readonly value: [number, string] }[]
  readonly groups?: { readonly rules: { readonly name: string; readonly health: string }[] }[]
}

/** Resolves when it says that it serves; rejects with its log when it ends before. */
async function ready(log: NodeJS.ReadableStream): Promise<void> {
  let said = ''
  await new Promise<void>((resolve, reject) => {
    log.on('data', (text: Buffer) => {
      said += text.toString()
      if (said.includes('Server is ready to receive web requests')) resolve()
    })
    log.once('end', () => reject(new Error(`Prometheus ended:\n${said}`)))
  })
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo // a TCP server that listens
  server.close()
  await once(server, 'close')
  return port
}
