import { expect, it } from 'vitest'
import { turnGate } from '../src/turn-gate.js'

function gate() {
  const log: string[] = []
  const queued = { soon: [] as (() => void)[], end: [] as (() => void)[] }
  const start = turnGate(
    (task) => queued.soon.push(task),
    (task) => queued.end.push(task),
  )
  const run = (which: keyof typeof queued): void => queued[which].splice(0).forEach((task) => task())
  return { log, start: (name: string) => start(() => log.push(name)), run }
}

it('the first of a turn starts when the call has returned, those after it together at the turn’s end', () => {
  const { log, start, run } = gate()
  start('first')
  expect(log).toEqual([])
  run('soon')
  expect(log).toEqual(['first'])
  start('second')
  start('third')
  run('soon')
  expect(log).toEqual(['first'])
  run('end')
  expect(log).toEqual(['first', 'second', 'third'])
})

it('the first of the next turn starts when the call has returned again', () => {
  const { log, start, run } = gate()
  start('first')
  run('soon')
  run('end')
  start('second')
  run('soon')
  expect(log).toEqual(['first', 'second'])
})

it('one that is started while the kept ones run begins a turn of its own', () => {
  const { log, start, run } = gate()
  const queued: (() => void)[] = []
  const again = turnGate(
    (task) => queued.push(task),
    (task) => queued.push(task),
  )
  again(() => log.push('first'))
  again(() => again(() => log.push('nested')))
  while (queued.length > 0) queued.shift()?.()
  expect(log).toEqual(['first', 'nested'])
  start('other')
  run('soon')
  expect(log).toEqual(['first', 'nested', 'other'])
})
