/**
 * Runs a program of this folder as one bundled file. Loaded module by module, each closure is given its name again
 * whenever it is made, which costs a fifth of a schedule.
 */
import { spawnSync, type SpawnSyncReturns } from 'node:child_process'
import { rmSync } from 'node:fs'
import path from 'node:path'
import { buildSync } from 'esbuild'

export interface RunOptions {
  readonly args: readonly string[]
  readonly env?: NodeJS.ProcessEnv
  /** Default: none. */
  readonly longestMs?: number
  /** 'pipe' hands the output over, 'inherit' prints it. */
  readonly output: 'pipe' | 'inherit'
}

/** One bundled file of a program, for `node` to run. */
export interface Bundle {
  /** What comes before the program's own arguments. */
  readonly nodeArgs: readonly string[]
  remove(): void
}

/**
 * @param root of the sources that are played, beside node_modules
 * @param program below test/simulation, without its ending
 */
export function bundle(root: string, program: string): Bundle {
  const outfile = path.join(root, `node_modules/.cache/sidework/${program}-${process.pid}.mjs`)
  buildSync({
    entryPoints: [path.join(root, `test/simulation/${program}.ts`)],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    target: 'node20',
    sourcemap: 'inline',
    logLevel: 'error',
  })
  // Most of what a schedule makes is garbage when it ends: the larger the young generation, the less is copied.
  const flags = ['--enable-source-maps', '--min-semi-space-size=64', '--max-semi-space-size=64']
  return { nodeArgs: [...flags, outfile], remove: () => rmSync(outfile) }
}

/** Bundles a program, runs it and waits for its end. */
export function runBundled(root: string, program: string, options: RunOptions): SpawnSyncReturns<string> {
  const { nodeArgs, remove } = bundle(root, program)
  try {
    return spawnSync(process.execPath, [...nodeArgs, ...options.args], {
      cwd: root,
      env: options.env ?? process.env,
      encoding: 'utf8',
      stdio: options.output,
      ...(options.longestMs === undefined ? undefined : { timeout: options.longestMs }),
    })
  } finally {
    remove()
  }
}
