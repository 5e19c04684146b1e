/** The package as a user gets it: packed, installed in an empty folder, run by node alone. */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
/** The repository. */
export const root = fileURLToPath(new URL('../..', import.meta.url))

export interface Installed {
  /** Where it is installed; projects are folders in it. */
  readonly folder: string
  /** What `npm pack` made. */
  readonly tarball: string
  /** Paths in the tarball, without the leading 'package/'. */
  readonly files: readonly string[]
  /** Writes files into a folder of a user's own. */
  project(name: string, files: Readonly<Record<string, string>>): Promise<Project>
  remove(): Promise<void>
}

export interface Project {
  /** Runs a file of the project with node. Rejects when it exits with another code than 0. */
  node(file: string): Promise<{ stdout: string; stderr: string }>
  /**
   * What the compiler says.
   * @param types what is installed as types, by the package of this repository; default: Node's and Express's
   */
  tsc(types?: Readonly<Record<string, string>>): Promise<string>
}

/** Packs what is in dist and installs it in an empty folder; scripts are not run, so nothing is built. */
export async function installPackage(): Promise<Installed> {
  const folder = await mkdtemp(join(tmpdir(), 'sidework-package-'))
  const npm = (...args: string[]) => run('npm', [...args, '--ignore-scripts', '--silent'], { cwd: folder })
  const { stdout } = await npm('pack', '--pack-destination', folder, root)
  const tarball = join(folder, stdout.trim())
  await writeFile(join(folder, 'package.json'), '{}')
  await npm('install', '--prefer-offline', '--no-audit', '--no-fund', tarball)
  const listed = await run('tar', ['tzf', tarball])
  return {
    folder,
    tarball,
    files: listed.stdout
      .trim()
      .split('\n')
      .map((path) => path.replace(/^package\//, '')),
    project: (name, files) => makeProject(join(folder, name), files),
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}

async function makeProject(folder: string, files: Readonly<Record<string, string>>): Promise<Project> {
  await mkdir(folder)
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text)
  return {
    // Only what a shell has: the variables of a test runner would change how threads load.
    node: (file) =>
      run(process.execPath, [file], { cwd: folder, env: { PATH: process.env['PATH'] }, timeout: 20_000 }),
    async tsc(types = { node: '@types/node', express: '@types/express' }) {
      await lendTypes(folder, types)
      const tsc = join(root, 'node_modules/typescript/bin/tsc')
      const answer = await run(process.execPath, [tsc, '-p', folder], { cwd: folder }).catch(
        (failed: { stdout: string }) => failed,
      )
      return answer.stdout
    },
  }
}

/** For a link that another test has made. */
export function isThere(error: { code?: string }): void {
  if (error.code !== 'EEXIST') throw error
}

/** Types as a TypeScript user has them installed. */
async function lendTypes(folder: string, lent: Readonly<Record<string, string>>): Promise<void> {
  const types = join(folder, 'node_modules/@types')
  await mkdir(types, { recursive: true })
  for (const [name, source] of Object.entries(lent))
    await symlink(join(root, 'node_modules', source), join(types, name)).catch(isThere)
}
