/** An app in an empty folder with the packed package, and the processes it is run by. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, symlinkSync, mkdirSync, rmSync, writeFileSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { inject, onTestFinished } from 'vitest'
import { root } from '../programs/installed-package.js'

/** The command line programs of the tools that modes are run by. */
export const tools = {
  tsc: join(root, 'node_modules/typescript/bin/tsc'),
  tsx: join(root, 'node_modules/tsx/dist/cli.mjs'),
  tsNode: join(root, 'node_modules/ts-node/dist/bin.js'),
  vitest: join(root, 'node_modules/vitest/vitest.mjs'),
  jest: join(root, 'node_modules/jest/bin/jest.js'),
}

export interface Ran {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export class UserApp {
  readonly folder: string

  /** @param installed which of this repository's development tools the app has installed beside the package */
  constructor(files: Readonly<Record<string, string>>, installed: readonly string[] = []) {
    // Beside the installed package's node_modules, so that it is found without a copy of it.
    this.folder = realpathSync(mkdtempSync(join(inject('packedPackage'), 'app-')))
    onTestFinished(() => rmSync(this.folder, { recursive: true, force: true }))
    for (const name of installed) {
      const link = join(this.folder, 'node_modules', name)
      mkdirSync(dirname(link), { recursive: true })
      symlinkSync(join(root, 'node_modules', name), link)
    }
    for (const [file, content] of Object.entries(files)) this.write(file, content)
  }

  write(file: string, content: string): void {
    writeFileSync(join(this.folder, file), content)
  }

  /** Starts node as from a shell: nothing of the test runner's environment. */
  start(args: readonly string[], node = process.execPath): RunningProcess {
    const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], NO_COLOR: '1' }
    return new RunningProcess(spawn(node, args, { cwd: this.folder, env }))
  }

  /** Runs node to its end. */
  async run(args: readonly string[], node?: string): Promise<Ran> {
    return await this.start(args, node).ended
  }
}

export class RunningProcess {
  /** When it has ended and its output is complete. */
  readonly ended: Promise<Ran>
  readonly #child: ChildProcess
  readonly #waiting = new Set<() => void>()
  #stdout = ''
  #stderr = ''

  constructor(child: ChildProcess) {
    this.#child = child
    onTestFinished(() => void child.kill('SIGKILL'))
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text
      for (const look of this.#waiting) look()
    })
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#stderr += text))
    this.ended = once(child, 'close').then(([code]) => ({
      code: code as number | null, // as Node documents it
      stdout: this.#stdout,
      stderr: this.#stderr,
    }))
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Resolves when it has printed what matches; rejects when it ends before. */
  async says(pattern: RegExp): Promise<RegExpExecArray> {
    const said = new Promise<RegExpExecArray>((resolve) => {
      const look = (): void => {
        const match = pattern.exec(this.#stdout)
        if (match === null) return
        this.#waiting.delete(look)
        resolve(match)
      }
      this.#waiting.add(look)
      look()
    })
    const silent = this.ended.then(({ code, stdout, stderr }) => {
      throw new Error(`It ended with ${code} and did not say ${pattern}:\n${stdout}\n${stderr}`)
    })
    silent.catch(() => undefined) // heard by the race, or nobody asks any more
    return await Promise.race([said, silent])
  }
}
