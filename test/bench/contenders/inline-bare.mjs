/** A list of closures and a loop that awaits one after the other; nothing can fail, wait or be looked at. */
export function start() {
  let waiting = []
  let isRunning = false

  async function runAll() {
    isRunning = true
    while (waiting.length > 0) {
      const closures = waiting
      waiting = []
      for (const run of closures) await run()
    }
    isRunning = false
  }

  function push(run) {
    waiting.push(run)
    if (!isRunning) queueMicrotask(() => isRunning || runAll())
  }

  return {
    push,
    ask: (run) => new Promise((resolve) => push(async () => resolve(await run()))),
    close() {},
  }
}
