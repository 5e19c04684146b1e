/** A promise chain per key: each job is hung behind the last of its key. */
export function start(count, keyOf) {
  const keys = Array.from({ length: count }, (_, seq) => keyOf(seq))
  return async (onRun) => {
    const tails = new Map()
    for (let seq = 0; seq < count; seq++) {
      const key = keys[seq]
      const tail = (tails.get(key) ?? Promise.resolve()).then(() => {
        onRun(seq)
        if (tails.get(key) === tail) tails.delete(key)
      })
      tails.set(key, tail)
    }
    while (tails.size > 0) await Promise.all(tails.values())
  }
}
