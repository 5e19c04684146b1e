/** The real time: the only file of the package that reads clocks and sets timers. */

/** Calls `run` every `intervalMs` until the returned function is called. Does not keep the process alive. */
export function every(intervalMs: number, run: () => void): () => void {
  const timer = setInterval(run, intervalMs)
  timer.unref()
  return () => clearInterval(timer)
}

/** Calls `run` once, `delayMs` (at most 2^31 − 1) from now, unless the returned function is called before. */
export function after(delayMs: number, run: () => void): () => void {
  const timer = setTimeout(run, Math.min(delayMs, 2 ** 31 - 1))
  return () => clearTimeout(timer)
}

/** Ms since an arbitrary moment; never goes back. For durations. */
export function monotonicMs(): number {
  return performance.now()
}
