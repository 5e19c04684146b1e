/** Reads Node's command line flags, and picks those that a thread gets. */

/** One flag with the words it was written in: `--import tsx` and `--import=tsx` both have the value `tsx`. */
export interface NodeFlag {
  readonly name: string
  readonly value: string | undefined
  readonly words: readonly string[]
}

/** The flags of an `execArgv`. A word without a dash in front belongs to the flag before it. */
export function nodeFlags(execArgv: readonly string[]): NodeFlag[] {
  const flags: NodeFlag[] = []
  for (const word of execArgv) {
    const previous = flags.at(-1)
    if (!word.startsWith('-') && previous?.value === undefined && previous !== undefined) {
      flags[flags.length - 1] = { name: previous.name, value: word, words: [...previous.words, word] }
      continue
    }
    const [name = word, ...value] = word.split('=')
    flags.push({ name, value: word.includes('=') ? value.join('=') : undefined, words: [word] })
  }
  return flags
}

/** Splits the NODE_OPTIONS variable into words, as Node does: at spaces, with double quotes and backslashes in them. */
export function nodeOptionsWords(nodeOptions: string | undefined): string[] {
  const words = nodeOptions?.match(/(?:"(?:\\.|[^"\\])*"|[^\s"])+/g) ?? []
  return words.map((word) =>
    word.replace(/"((?:\\.|[^"\\])*)"/g, (_, quoted: string) => quoted.replace(/\\(.)/g, '$1')),
  )
}

/** Whether the flag makes Node load a module first: `--import`, `--require` or `--loader`. */
export function isPreload(flag: NodeFlag): boolean {
  return /^(--import|--require|-r|--loader|--experimental-loader)$/.test(flag.name)
}

/** Whether a preload names tsx: `tsx`, `tsx/esm`, or a file of the package as its CLI passes it. */
export function namesTsx(flag: NodeFlag): boolean {
  return isPreload(flag) && /^tsx(?:$|\/)|[\\/]tsx[\\/]dist[\\/]/.test(flag.value ?? '')
}

/** Whether a preload hooks ts-node into `require`, with type checks or without. */
function requiresTsNode(flag: NodeFlag): boolean {
  return /(^|[\\/])ts-node[\\/]register(?:$|[\\/])/.test(flag.value ?? '')
}

/**
 * The flags a thread gets, as `execArgv` for `new Worker`.
 *
 * With `threads.execArgv` these are the user's; otherwise those of the process that mean something to a thread. An
 * allow list, because Node throws ERR_WORKER_INVALID_EXEC_ARGV for flags of the whole process (V8's, `--title`,
 * `--watch` …: V8's apply to all threads anyway), and because `--input-type` and `--inspect-brk` keep a thread from
 * starting. tsx, ts-node's `--require` and preloads in TypeScript are left out: tsx does not register itself in a
 * thread on Node 20, ts-node would check all types again in each; the loader registers both. The permission model's
 * flags always stay: a thread without them would not be restricted.
 *
 * Flags in NODE_OPTIONS are not part of this: Node gives them to threads by itself and skips what does not fit.
 */
export function threadExecArgv(
  processExecArgv: readonly string[],
  userExecArgv?: readonly string[],
): string[] {
  const own = nodeFlags(processExecArgv)
  const chosen =
    userExecArgv === undefined
      ? own.filter((flag) => isPermission(flag) || suitsThread(flag))
      : [...own.filter(isPermission), ...nodeFlags(userExecArgv)]
  return chosen.flatMap((flag) => flag.words)
}

function isPermission({ name }: NodeFlag): boolean {
  return /^--((experimental-)?permission(-audit)?|allow-(fs-read|fs-write|worker|child-process|addons|wasi|net|inspector|ffi))$/.test(
    name,
  )
}

function suitsThread(flag: NodeFlag): boolean {
  if (isPreload(flag))
    return !namesTsx(flag) && !requiresTsNode(flag) && !/\.[cm]?tsx?$/.test(flag.value ?? '')
  // V8 has flags that begin with `experimental` too; these lists are Node's own.
  const isExperiment =
    /^--(no-)?experimental-/.test(flag.name) && process.allowedNodeEnvironmentFlags.has(flag.name)
  return threadFlags.test(flag.name) || (isExperiment && !processExperiments.test(flag.name))
}

/** What Node 20, 22 and 24 take for a thread and what changes how its modules load, warn or fail; a test tries each. */
const threadFlags = new RegExp(
  `^(-C|--(${[
    'conditions',
    'enable-source-maps',
    'preserve-symlinks(-main)?',
    'unhandled-rejections',
    '(no|disable|throw|pending)-(warnings?|deprecation)',
    'trace-(warnings|deprecation|uncaught|exit|sync-io)',
    'redirect-warnings',
    'dns-result-order',
    'max-http-header-size',
    'insecure-http-parser',
    'frozen-intrinsics',
    '(no-)?strip-types',
  ].join('|')}))$`,
)

/** Experiments that belong to the whole process or the test runner. */
const processExperiments = /^--(no-)?experimental-(sea-config|test-|print-|policy|inspector|report|shadow)/
