/**
 * Main-thread side of loading TypeScript: what runs this process's TypeScript, and so what a thread has to register
 * before it imports a task module. Plain data, handed over in `workerData`.
 */
import { isPreload, namesTsx, nodeFlags, nodeOptionsWords, type NodeFlag } from './node-flags.js'

/**
 * How a thread loads TypeScript; the first that applies, from sure signs to guesses:
 * - `tsx`: a flag names tsx.
 * - `ts-node`: ts-node has left its mark on this process.
 * - `flags`: another loader comes in by a flag, which the thread is started with too.
 * - `vitest`: tests; tsx where it is installed, else Vite.
 * - `native`: Node strips types itself.
 * - `search`: nothing is known; tsx where it is installed, else an error.
 */
export type LoaderKind = 'tsx' | 'ts-node' | 'flags' | 'vitest' | 'native' | 'search'

/** What a thread is told; plain data. */
export interface LoaderHint {
  readonly kind: LoaderKind
  /** The flag's value that named the loader: where tsx's CLI, which may be installed elsewhere, can be found. */
  readonly named: string | undefined
}

/** Everything the decision depends on. */
export interface LoaderEnv {
  readonly execArgv: readonly string[]
  /** `threads.execArgv`: the user's explicit word, looked at before anything else. */
  readonly threadExecArgv: readonly string[] | undefined
  readonly nodeOptions: string | undefined
  readonly tsNode: boolean
  readonly vitest: boolean
  /** `process.features.typescript` of Node 22 and up. */
  readonly nativeTypescript: boolean
}

/** Reads the running process. */
export function loaderEnv(threadExecArgv?: readonly string[]): LoaderEnv {
  return {
    execArgv: process.execArgv,
    threadExecArgv,
    nodeOptions: process.env['NODE_OPTIONS'],
    tsNode: Symbol.for('ts-node.register.instance') in process,
    vitest: process.env['VITEST'] !== undefined,
    nativeTypescript: stripsTypes(),
  }
}

/** Whether this Node loads TypeScript itself; older ones do not have the feature's name. */
export function stripsTypes(): boolean {
  return 'typescript' in process.features && Boolean(process.features.typescript)
}

/** Decides how threads load TypeScript. The order is the one that held for all runners and Node versions tried. */
export function detectLoader(env: LoaderEnv): LoaderHint {
  const own = nodeFlags(env.threadExecArgv ?? [])
  const flags = [...own, ...nodeFlags(env.execArgv), ...nodeFlags(nodeOptionsWords(env.nodeOptions))]
  const ownLoader = own.find(namesLoader)
  if (ownLoader !== undefined) return { kind: 'flags', named: ownLoader.value }
  // tsx's CLI also preloads a helper by --require; the loader itself comes by --import and says where tsx is as well.
  const tsx = flags.findLast(namesTsx)
  if (tsx !== undefined) return { kind: 'tsx', named: tsx.value }
  if (env.tsNode) return { kind: 'ts-node', named: undefined }
  const loader = flags.find(namesLoader)
  if (loader !== undefined) return { kind: 'flags', named: loader.value }
  if (env.vitest) return { kind: 'vitest', named: undefined }
  return { kind: env.nativeTypescript ? 'native' : 'search', named: undefined }
}

/**
 * Whether a preload looks like a loader: a known one, or the user's own `./register.mjs`; not the `register` of a
 * monitoring agent. The folders above the package or the file say nothing.
 */
function namesLoader(flag: NodeFlag): boolean {
  if (!isPreload(flag) || flag.value === undefined) return false
  const inPackage = flag.value.split(/[\\/]node_modules[\\/]/).at(-1) ?? flag.value
  const isPath = inPackage === flag.value && /^(\.|\/|file:|[a-z]:\\)/i.test(flag.value)
  const name = isPath ? flag.value.replace(/^.*[\\/]/, '') : inPackage
  return loaderName.test(name) && !agentName.test(name)
}

const loaderName = /register|loader|swc|oxc|esbuild|babel|sucrase|jiti|ts-node|tsimp|amaro/i
const agentName = /opentelemetry|dd-trace|newrelic|sentry|apm/i
