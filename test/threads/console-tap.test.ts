import { describe, expect, it } from 'vitest'
import { ConsoleGate } from '../../src/threads/console-tap.js'
import type { ConsoleMessage } from '../../src/threads/protocol.js'

function makeGate() {
  const sent: ConsoleMessage[] = []
  let now = 0
  const timers = new Set<() => void>()
  const gate = new ConsoleGate({
    send: (message) => void sent.push(message),
    now: () => now,
    every: (_ms, task) => {
      timers.add(task)
      return () => void timers.delete(task)
    },
    token: () => 7,
  })
  const second = (): void => {
    now += 1000
    for (const task of timers) task()
  }
  return { gate, sent, second, timers }
}

describe('what a thread prints', () => {
  it('is passed on line by line, with the execution that printed it', () => {
    const { gate, sent, timers } = makeGate()
    gate.line('info', 'hello\n')
    expect(sent).toEqual([{ kind: 'console', level: 'info', text: 'hello', token: 7 }])
    expect(timers.size).toBe(0)
  })

  it('is at most 100 lines a second; what was dropped is told once, also when nothing more is printed', () => {
    const { gate, sent, second, timers } = makeGate()
    for (let n = 0; n < 1000; n++) gate.line('info', `line ${n}`)
    expect(sent).toHaveLength(100)
    second()
    expect(sent.slice(100)).toMatchObject([{ level: 'warn', text: expect.stringContaining('900 were dropped') as string }]) // prettier-ignore
    expect(timers.size).toBe(0)
    second()
    gate.line('info', 'again')
    expect(sent).toHaveLength(102)
  })

  it('is cut after 8,192 characters', () => {
    const { gate, sent } = makeGate()
    gate.line('info', 'x'.repeat(100_000_000))
    expect(sent[0]?.text).toMatch(/^x{8192} … \(99991808 characters more\)$/)
  })
})
