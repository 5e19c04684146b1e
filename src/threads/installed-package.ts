/** Finds an installed package and the file behind one of its exports, for packages that a thread loads by itself. */
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Where a package is looked up from: `file:` URLs, the first that sees it wins. */
export type Places = readonly (string | undefined)[]

/** The folder of a package, as the first of the places sees it. */
export function findPackage(name: string, places: Places): string | undefined {
  for (const place of places) {
    const folder = place === undefined ? undefined : (ownFolder(name, place) ?? dependencyFolder(name, place))
    if (folder !== undefined) return folder
  }
  return undefined
}

/**
 * The file behind an entry of a package's `exports`, under the conditions of `import`. Node resolves that only for
 * the package's own dependents; this works from any folder.
 * @throws Error when the package has no such entry
 */
export function exportedFile(folder: string, entry: string): string {
  const { exports, version } = manifestOf(folder)
  let target: unknown = exports?.[entry]
  while (typeof target === 'object' && target !== null) {
    const conditions = target as Record<string, unknown> // what is not a string in `exports` is an object of conditions
    target = conditions['import'] ?? conditions['node'] ?? conditions['default']
  }
  if (typeof target === 'string') return join(folder, target)
  throw new Error(`${folder} ${version ?? ''} does not export '${entry}'. Update it.`)
}

/** The folder of the package that the place is a built file of: `…/tsx` for `…/tsx/dist/loader.mjs`. */
function ownFolder(name: string, place: string): string | undefined {
  const file = fileURLToPath(place)
  const end = file.replaceAll('\\', '/').lastIndexOf(`/${name}/dist/`)
  if (end === -1) return undefined
  const folder = file.slice(0, end + name.length + 1)
  return existsSync(join(folder, 'package.json')) && manifestOf(folder).name === name ? folder : undefined
}

function dependencyFolder(name: string, place: string): string | undefined {
  try {
    return dirname(createRequire(place).resolve(`${name}/package.json`))
  } catch {
    return undefined // not installed for this place; the next may see it
  }
}

interface Manifest {
  readonly name?: string
  readonly version?: string
  readonly exports?: Readonly<Record<string, unknown>>
}

function manifestOf(folder: string): Manifest {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest // npm checked it when publishing
}
