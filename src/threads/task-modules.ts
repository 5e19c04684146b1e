/**
 * Main-thread side of the `tasks` option: from what the user wrote to the file URLs that every thread imports.
 * Reading the option touches no file, so that creating a scheduler does not; the files are looked up when the first
 * thread starts.
 */
import { statSync } from 'node:fs'
import { basename, join, parse, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { OptionError } from '../errors.js'
import { show } from '../options.js'

/** The modules that define tasks: a `file:` URL, a path relative to `process.cwd()`, or several of them. */
export type TaskModules = URL | string | readonly (URL | string)[]

/** What a compiled file's extension was before compiling; tried in this order when the compiled file is missing. */
const sourceExtensions: Readonly<Record<string, readonly string[]>> = {
  '.js': ['.ts', '.tsx'],
  '.mjs': ['.mts'],
  '.cjs': ['.cts'],
}

const extensions = ['.js', '.mjs', '.cjs', '.ts', '.mts', '.cts', '.tsx']

/**
 * The absolute `file:` URLs of the `tasks` option, each once, without looking whether the files exist.
 * @throws OptionError for anything but a `file:` URL, a path, or an array of them
 */
export function taskModuleUrls(tasks: TaskModules | undefined): string[] {
  if (tasks === undefined) return []
  const list: readonly unknown[] = Array.isArray(tasks) ? tasks : [tasks]
  return [...new Set(list.map(fileUrl))]
}

/**
 * The absolute `file:` URLs of the task modules as they are on disk: './tasks.js' becomes './tasks.ts' where only that
 * exists. Called when a thread starts.
 * @throws OptionError for what `taskModuleUrls` refuses, and for a file that is not there
 * @example
 * resolveTaskModules(new URL('./tasks.js', import.meta.url)) // ['file:///app/tasks.ts'] in development
 */
export function resolveTaskModules(tasks: TaskModules | undefined): string[] {
  return [...new Set(taskModuleUrls(tasks).map(existingFile))]
}

function fileUrl(task: unknown): string {
  const text = task instanceof URL ? task.href : task
  if (typeof text !== 'string' || text === '') {
    throw new OptionError(`tasks is ${show(task)}. ${give}`)
  }
  // Two letters at least: 'C:\app\tasks.js' is a path.
  if (!/^[a-z][a-z0-9+.-]+:/i.test(text)) return pathToFileURL(resolve(text)).href
  if (!/^file:/i.test(text) || !isLocal(text)) throw new OptionError(`tasks is ${show(text)}. ${give}`)
  return new URL(text).href
}

/** Whether the URL names a file of this system: one of another host, or with `%2F` in a name, does not. */
function isLocal(url: string): boolean {
  try {
    return fileURLToPath(url) !== ''
  } catch {
    return false
  }
}

const give =
  "Give new URL('./tasks.js', import.meta.url), in CommonJS path.join(__dirname, 'tasks.js'), a path relative to the " +
  'working directory, or an array of them.'

function existingFile(href: string): string {
  const path = fileURLToPath(href)
  if (isFile(path)) return href
  const extension = /\.[cm]?js$/.exec(path)?.[0] ?? ''
  const stem = path.slice(0, path.length - extension.length)
  const siblings = (sourceExtensions[extension] ?? []).map((source) => stem + source)
  const source = siblings.find(isFile)
  if (source === undefined) throw new OptionError(missing(path, siblings))
  const url = new URL(href)
  url.pathname = pathToFileURL(source).pathname
  return url.href
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true
}

function missing(path: string, siblings: readonly string[]): string {
  const beside =
    siblings.length === 0 ? '' : `, nor is ${siblings.map((file) => basename(file)).join(' or ')} beside it`
  const meant = likelyFile(path)
  const question = meant === undefined ? '' : ` Did you mean ${meant}?`
  return `The task module ${path} is not a file${beside}.${question} ${give} The working directory is ${process.cwd()}.`
}

/** A file that is there under another extension, or in the folder that was given. */
function likelyFile(path: string): string | undefined {
  const { dir, name, ext } = parse(path)
  const bare = extensions.includes(ext) ? join(dir, name) : path
  return extensions.flatMap((one) => [bare + one, join(bare, `index${one}`)]).find(isFile)
}
