/** The same two handlers for piscina, tinypool and the bare threads. */
export function noop() {}

export function answer({ n }) {
  return n
}
