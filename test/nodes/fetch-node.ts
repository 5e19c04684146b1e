/**
 * Other versions of Node, from the package registry, in a cache outside the repository: `SIDEWORK_NODES`, or
 * `sidework-nodes` in the user's cache folder.
 */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

const cache =
  process.env['SIDEWORK_NODES'] ??
  join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'sidework-nodes')

/** The path of a `node` of this major version; fetched once. */
export async function fetchNode(major: number): Promise<string> {
  if (Number(process.versions.node.split('.')[0]) === major) return process.execPath
  const folder = join(cache, `node${major}`)
  const node = join(folder, 'node_modules/node/bin/node')
  if (!existsSync(node)) await install(major, folder)
  return node
}

/** Into a folder of its own first, so that two that fetch at once do not meet. */
async function install(major: number, folder: string): Promise<void> {
  await mkdir(cache, { recursive: true })
  const staging = await mkdtemp(join(cache, 'fetching-'))
  try {
    await writeFile(join(staging, 'package.json'), '{}')
    // The package's own script puts the binary in place.
    await run('npm', ['install', '--no-audit', '--no-fund', '--foreground-scripts', `node@${major}`], {
      cwd: staging,
    })
    await rename(staging, folder).catch((error: { code?: string }) => {
      if (error.code !== 'ENOTEMPTY') throw error // another has fetched it meanwhile
    })
  } finally {
    await rm(staging, { recursive: true, force: true })
  }
}
