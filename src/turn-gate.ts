/**
 * When jobs are handed to the threads. The first of a turn of the event loop: when the current call has returned, so that
 * on a quiet server it starts at once. Those that come later in the turn: all together, at its end. So thirty requests of
 * one turn make two messages for a thread and get two answers; a message with its answer costs several times what a job does.
 */
export function turnGate(
  soon: (task: () => void) => void,
  atTurnsEnd: (task: () => void) => void,
): (task: () => void) => void {
  let isTurnOn = false
  let kept: (() => void)[] = []
  const turnEnds = (): void => {
    isTurnOn = false
    const tasks = kept
    kept = []
    for (const task of tasks) task()
  }
  return (task) => {
    if (isTurnOn) return void kept.push(task)
    isTurnOn = true
    atTurnsEnd(turnEnds)
    soon(task)
  }
}
