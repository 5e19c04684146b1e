import { FakeThread } from '../simulation/fake-thread.js'
import { failsWith, returns, type Behaviour, type Run, type ThreadScript } from '../simulation/script.js'
import { VirtualWorld } from '../simulation/world.js'
import { threadContract, type ThreadRig } from './thread-contract.js'

const says = (value: string): Behaviour => ({
  says: [{ message: (token) => ({ kind: 'progress', token, value }) }],
})

const skills: Record<string, (run: Run) => Behaviour> = {
  nothing: () => ({}),
  value: ({ payload }) => returns(payload),
  throws: () => failsWith('broken', 'E_BROKEN'),
  progress: () => says('0.5'),
  waits: () => ({ ...says('0'), takesMs: Infinity, onAbort: (code) => JSON.stringify(code) }),
  spins: () => ({ takesMs: Infinity, spins: true }),
  exits: () => ({ crashes: { exitCode: 7 } }),
}
const tasks = ['cpu', 'io'].flatMap((lane) => Object.keys(skills).map((skill) => `${lane}-${skill}`))

threadContract('fake', () => {
  const world = new VirtualWorld()
  const ports = {
    world,
    behave: (run: Run) => skills[run.task.replace(/^(cpu|io)-/, '')]?.(run) ?? {},
    began: () => undefined,
    ended: () => undefined,
  }
  const startWith =
    (script: ThreadScript): ThreadRig['start'] =>
    (lane, listener) =>
      new FakeThread(lane, 1, listener, script, ports)
  return {
    start: startWith({ tasks }),
    startBroken: startWith({ startFails: { name: 'Error', message: 'this module is broken' } }),
    until: (holds) => {
      for (let ms = 0; ms < 1000 && !holds(); ms++) world.advance(1)
      return holds() ? Promise.resolve() : Promise.reject(new Error('it never came'))
    },
  }
})
