/**
 * Thread side of the `tasks` option: imports the task modules, and before that registers what loads TypeScript in
 * this thread. Worker threads do not inherit module hooks on Node 20, hence the hint from the main thread.
 */
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { ThreadStartError } from '../errors.js'
import { serializeError } from '../job/serialized-error.js'
import { show } from '../options.js'
import { exportedFile, findPackage, type Places } from './installed-package.js'
import { stripsTypes, type LoaderHint } from './loader-hint.js'

/** What loaded the task modules; `'none'` for compiled JavaScript. */
export type LoaderName = 'none' | 'tsx' | 'ts-node' | 'flags' | 'vite' | 'native'

/** One imported task module. */
export interface TaskModule {
  readonly url: string
  /** What the module exports. */
  readonly exports: Readonly<Record<string, unknown>>
}

/** The task modules in the order given, and the loader they needed, for messages. */
export interface ImportedTaskModules {
  readonly loader: LoaderName
  readonly modules: readonly TaskModule[]
}

type Namespace = Readonly<Record<string, unknown>>

/** A registered loader: its name, and how a TypeScript module is imported with it. */
interface Loader {
  readonly name: LoaderName
  load(url: string): Promise<Namespace>
}

/**
 * Imports the task modules one after the other, so that tasks are defined in a known order.
 * @param urls absolute `file:` URLs, from `resolveTaskModules`
 * @param hint how this process loads TypeScript, from `detectLoader` on the main thread
 * @throws ThreadStartError naming the file, with the module's own error as `cause`
 */
export async function importTaskModules(
  urls: readonly string[],
  hint: LoaderHint,
  begin: (url: string) => void = () => undefined,
): Promise<ImportedTaskModules> {
  const typescript = urls.find(isTypescript)
  // JavaScript run under tsx or ts-node may import TypeScript; elsewhere compiled modules need nothing.
  const mainLoaded = hint.kind === 'tsx' || hint.kind === 'ts-node' ? urls[0] : undefined
  const needsLoader = typescript ?? mainLoaded
  const loader = needsLoader === undefined ? plain('none') : await registerLoader(needsLoader, hint)
  const modules: TaskModule[] = []
  for (const url of urls) {
    begin(url)
    modules.push({ url, exports: exportsOf(url, await importOne(url, loader)) })
  }
  return { loader: loader.name, modules }
}

/** Of a CommonJS module Node names those exports that it can read from the source; `default` is the object with all. */
function exportsOf(url: string, namespace: Namespace): Namespace {
  const whole = namespace['default']
  if (typeof whole !== 'object' || whole === null) return namespace
  const { cache, resolve } = createRequire(url)
  return cache[resolve(fileURLToPath(url))]?.exports === whole ? (whole as Namespace) : namespace
}

function isTypescript(url: string): boolean {
  return /\.[cm]?tsx?$/.test(new URL(url).pathname)
}

async function importOne(url: string, loader: Loader): Promise<Namespace> {
  try {
    return await (isTypescript(url) ? loader.load(url) : importPlain(url))
  } catch (error) {
    if (hasCode(error, 'ERR_UNKNOWN_FILE_EXTENSION')) throw noLoader(url, error)
    throw notImported(fileURLToPath(url), error)
  }
}

async function registerLoader(url: string, hint: LoaderHint): Promise<Loader> {
  try {
    const loader = await loaderFor(url, hint)
    if (loader !== undefined) return loader
  } catch (error) {
    throw new ThreadStartError(
      `The TypeScript loader (${hint.kind}) for ${fileURLToPath(url)} could not be registered: ${tell(error)}`,
      error,
    )
  }
  if (isTypescript(url)) throw noLoader(url)
  return plain('none')
}

async function loaderFor(url: string, hint: LoaderHint): Promise<Loader | undefined> {
  switch (hint.kind) {
    case 'tsx':
      return await tsx([fileOf(hint.named), cwdUrl(), url])
    case 'ts-node':
      return tsNode([url, cwdUrl()])
    case 'flags':
      return flagsLoader()
    case 'vitest':
      return (await tsx([url, cwdUrl()])) ?? (await vite([url, cwdUrl()]))
    case 'native':
      return plain('native')
    case 'search':
      return await tsx([url, cwdUrl()])
  }
}

async function tsx(places: Places): Promise<Loader | undefined> {
  const root = findPackage('tsx', places)
  if (root === undefined) return undefined
  // Not by `require.resolve`: that finds the CommonJS build, whose hooks do not reach a thread on Node 20.
  await callRegister(exportedFile(root, './esm/api'))
  await callRegister(exportedFile(root, './cjs/api'))
  return plain('tsx')
}

async function callRegister(file: string): Promise<void> {
  const { register } = await importPlain(pathToFileURL(file).href)
  if (!isFunction(register)) throw new TypeError(`${file} has no register(). Update tsx to 4.19 or newer.`)
  register()
}

/** ts-node hooks `require` only; an ECMAScript module goes to its `--loader`, if the process has one. */
function tsNode(places: Places): Loader | undefined {
  const root = findPackage('ts-node', places)
  if (root === undefined) return undefined
  createRequire(join(root, 'package.json'))('ts-node/register/transpile-only')
  return { name: 'ts-node', load: requireFirst }
}

/** A hook by `--require` handles `require` only, one by `--import` or `--loader` handles `import`. */
function flagsLoader(): Loader {
  const hooked = '.ts' in createRequire(import.meta.url).extensions // eslint-disable-line @typescript-eslint/no-deprecated -- the hooks of --require live there
  return hooked && !stripsTypes() ? { name: 'flags', load: requireFirst } : plain('flags')
}

async function requireFirst(url: string): Promise<Namespace> {
  const path = fileURLToPath(url)
  if (path.endsWith('.mts')) return await importPlain(url)
  try {
    return createRequire(url)(path) as Namespace // the exports of a module; not an object if the user exports none
  } catch (error) {
    if (hasCode(error, 'ERR_REQUIRE_ESM')) return await importPlain(url)
    throw error
  }
}

async function vite(places: Places): Promise<Loader | undefined> {
  const vitest = findPackage('vitest', places)
  const root = findPackage('vite', [...places, vitest && pathToFileURL(join(vitest, 'package.json')).href])
  if (root === undefined) return undefined
  const { runnerImport } = await importPlain(pathToFileURL(exportedFile(root, '.')).href)
  if (!isFunction(runnerImport)) return undefined
  return {
    name: 'vite',
    load: async (url) => {
      const { module } = (await runnerImport(fileURLToPath(url))) as { module: Namespace } // as Vite documents it
      return module
    },
  }
}

function plain(name: LoaderName): Loader {
  return { name, load: importPlain }
}

async function importPlain(url: string): Promise<Namespace> {
  return (await import(url)) as Namespace // a module namespace always is one
}

function cwdUrl(): string {
  return pathToFileURL(join(process.cwd(), 'package.json')).href
}

function fileOf(named: string | undefined): string | undefined {
  if (named === undefined || !/[\\/]tsx[\\/]dist[\\/]/.test(named)) return undefined
  return /^file:/i.test(named) ? named : pathToFileURL(named).href
}

function isFunction(value: unknown): value is (...args: unknown[]) => unknown {
  return typeof value === 'function'
}

function hasCode(error: unknown, code: string): boolean {
  return serializeError(error).code === code
}

/** What was thrown, in a line. Never throws, whatever it is. */
export function tell(error: unknown): string {
  const { name, message } = serializeError(error)
  return name === 'NonError' ? `${show(error)} was thrown` : `${name}: ${message}`
}

function notImported(path: string, error: unknown): ThreadStartError {
  const message = `The task module ${path} could not be imported: ${tell(error)}`
  const { name, stack = '' } = serializeError(error)
  if (name !== 'SyntaxError' || /file:|\.[cm]?[jt]sx?:/.test(stack))
    return new ThreadStartError(message, error)
  // Node keeps the place of a syntax error to itself until the process dies of it.
  return new ThreadStartError(
    `${message}. It is in this file or in one it imports; 'node ${path}' shows the line.`,
    error,
  )
}

function noLoader(url: string, cause?: unknown): ThreadStartError {
  return new ThreadStartError(
    `Nothing here loads TypeScript in a thread (Node ${process.version}), which the task module ` +
      `${fileURLToPath(url)} needs${cause === undefined ? '' : ` (${tell(cause)})`}. ` +
      'Install tsx (npm i -D tsx), run Node 22.18 or newer, or compile it and let tasks name the .js file.',
    cause,
  )
}
