import { expect, it } from 'vitest'
import { BoundedLog } from '../../src/threads/bounded-log.js'

function makeLog() {
  const written: [level: string, line: unknown][] = []
  const clock = { now: 0 }
  const log = new BoundedLog(
    (level, fields, message) => void written.push([level, message ?? fields]),
    () => clock.now,
  )
  return { log, written, clock }
}

it('a handler writes at most 1,000 lines of a level in a second; how many were dropped is told with the next, or at its end', () => {
  const { log, written, clock } = makeLog()
  for (let n = 0; n < 5000; n++) log.debug({ n }, `line ${n}`)
  log.error('wrong')
  expect(written).toHaveLength(1001)
  expect(written.slice(999)).toEqual([
    ['debug', 'line 999'],
    ['error', 'wrong'],
  ])
  clock.now = 1000
  log.debug('again')
  const told = (count: number) => [
    'warn',
    `a handler logged more than 1000 lines of a level in a second: ${count} were dropped`,
  ]
  expect(written.slice(1001)).toEqual([told(4000), ['debug', 'again']])
  for (let n = 0; n < 1001; n++) log.debug(`line ${n}`)
  log.tellDropped()
  log.tellDropped()
  expect(written.slice(1003 + 999)).toEqual([told(2)])
})

it('its methods may be taken out of it', () => {
  const { log, written } = makeLog()
  const { info, warn } = log
  info('a')
  warn({ b: 1 }, 'b')
  expect(written).toEqual([
    ['info', 'a'],
    ['warn', 'b'],
  ])
})
