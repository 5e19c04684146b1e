/**
 * The compile-time half of the payload rules: what cannot be JSON is refused where the task is defined. Values hidden
 * behind wider types (`unknown`, `any`, `object`) and method-less classes pass here and are judged at run time.
 */

type Leaf = string | number | boolean | null | undefined | void | Uint8Array

/** Told as a whole, and not by its methods. */
type Collection = ReadonlyMap<unknown, unknown> | ReadonlySet<unknown>

type IsAny<T> = 0 extends 1 & T ? true : false

/** The parts of `T` that are not JSON (nor `Uint8Array`): `never` when all is well. */
export type NotJson<T, Depth extends 0[] = []> =
  IsAny<T> extends true
    ? never
    : unknown extends T
      ? never
      : Depth['length'] extends 8
        ? never
        : T extends Leaf
          ? never
          : T extends bigint | symbol | ((...args: never) => unknown) | Date | Collection
            ? T
            : T extends readonly (infer Element)[]
              ? NotJson<Element, [...Depth, 0]>
              : T extends object
                ? { [Key in keyof T]-?: Key extends symbol ? T : NotJson<T[Key], [...Depth, 0]> }[keyof T]
                : never

/**
 * Where they are: `payload.list[].when`. Looked for only where something is wrong, and three levels deep: each path is a type of
 * its own.
 */
type PathTo<T, Path extends string, Depth extends 0[] = []> = [NotJson<T>] extends [never]
  ? never
  : T extends Leaf
    ? never
    : T extends NotJson<T>
      ? Path
      : Depth['length'] extends 3
        ? `${Path}…`
        : T extends readonly (infer Element)[]
          ? PathTo<Element, `${Path}[]`, [...Depth, 0]>
          : { [Key in keyof T]-?: PathTo<T[Key], `${Path}.${Key & string}`, [...Depth, 0]> }[keyof T]

/** `unknown` (harmless in an intersection) when payload and result are JSON, else a type that names what is not, and where. */
export type JsonHandler<P, R> = [NotJson<P>] extends [never]
  ? [NotJson<R>] extends [never]
    ? unknown
    : { 'the result must be JSON; this is not': NotJson<R>; at: PathTo<R, 'result'> }
  : { 'the payload must be JSON; this is not': NotJson<P>; at: PathTo<P, 'payload'> }
