import { show } from '../options.js'

/**
 * What a function of the user's threw, fit for `next()`, to which `undefined` and `'route'` mean something else.
 * @param name of the function
 */
export function asError(name: string, thrown: unknown): object {
  if (typeof thrown === 'object' && thrown !== null) return thrown
  return new Error(`${name} threw ${show(thrown)}. Throw an Error.`, { cause: thrown })
}
