import { expect, it } from 'vitest'
import type { TaskDefinition } from '../../src/task/define-task.js'
import type { AttemptHost } from '../../src/threads/attempt.js'
import { Claims, sharedCells } from '../../src/threads/claims.js'
import { SoloRunner } from '../../src/threads/solo-runner.js'
import { WaitWatch } from '../../src/threads/wait-watch.js'

/** A runner that knows these tasks, by the order in which they are given. */
function makeRunner(handlers: Readonly<Record<string, (runner: SoloRunner) => unknown>>) {
  const shared = new Int32Array(new SharedArrayBuffer(sharedCells * Int32Array.BYTES_PER_ELEMENT))
  const { generation } = new Claims(shared, 1)
  const names = Object.keys(handlers)
  let left = 0
  let allEnded = (): void => undefined
  const port = {
    send: () => undefined,
    now: () => 0,
    host: {} as AttemptHost, // these handlers touch nothing of it
    readWaiting: () => undefined,
    ended: () => {
      if (--left === 0) allEnded()
    },
    definitionOf: (name: string): TaskDefinition => ({
      name,
      options: {},
      run: () => handlers[name]?.(runner),
    }),
  }
  const watch = new WaitWatch({ send: () => undefined, utilization: () => ({ idle: 0, active: 0 }) })
  const runner = new SoloRunner(port, shared, watch)
  /** Runs a job of each task, in one batch. */
  const runAll = (first: number): Promise<void> =>
    new Promise((resolve) => {
      left = names.length
      allEnded = resolve
      const tasks = names.map((_, task) => task)
      const payloads = names.map(() => 'null').join()
      const introduced = names.map((name, task) => [task, name, 1, false] as const)
      runner.receive({ kind: 'run', first, generation, introduced, task: 0, tasks, seqs: tasks, cells: tasks, payloads }) // prettier-ignore
    })
  return { runAll }
}

it('what a job leaves behind that did not wait speaks for no later job of its batch, and theirs for themselves', async () => {
  const left: unknown[] = []
  const own: unknown[] = []
  const speaks = (runner: SoloRunner, list: unknown[]): Promise<void> =>
    new Promise((resolve) => {
      setTimeout(() => {
        list.push([runner.speaker(), runner.culprit(false)])
        resolve()
      }, 1)
    })
  const { runAll } = makeRunner({
    'leaves a timer': (runner) => void speaks(runner, left),
    waits: (runner) => speaks(runner, own),
  })
  await runAll(1)
  await runAll(3)
  expect(left).toEqual([[undefined, 0], [undefined, 0]]) // prettier-ignore
  // The first time nobody knew that it would wait.
  expect(own).toEqual([[undefined, 0], [4, 4]]) // prettier-ignore
})
