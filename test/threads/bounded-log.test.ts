import { describe, expect, it } from 'vitest'
import type { TaskLog } from '../../src/task/context.js'
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

it('has every level of pino, each with a bound of its own', () => {
  const { log, written } = makeLog()
  const levels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const
  for (const level of levels) for (let n = 0; n < 1_001; n++) log[level](`line ${n}`)
  for (const level of levels) expect(written.filter(([of]) => of === level)).toHaveLength(1_000)
})

describe('a line as pino has it', () => {
  /** What is written of one line. */
  function writes(log: (log: TaskLog) => void): unknown[] {
    const lines: unknown[] = []
    log(new BoundedLog((level, ...line) => void lines.push([level, ...line.filter((part) => part !== undefined)]), () => 0)) // prettier-ignore
    return lines
  }

  const broken = { toJSON: () => { throw new Error('do not look') } } // prettier-ignore
  const secret = Object.assign(new RangeError('refused'), { config: { authorization: 'secret' }, stack: 'RangeError: refused\n    at x' }) // prettier-ignore
  it.each<[string, (log: TaskLog) => void, unknown[]]>([
    [
      'placeholders of a message',
      (log) => log.info('plain %s %d %j', 'arg', 5, { a: 1 }),
      ['plain arg 5 {"a":1}'],
    ],
    ['placeholders beside fields', (log) => log.info({ n: 1 }, 'm %d', 5), [{ n: 1 }, 'm 5']],
    ['a percent sign without arguments', (log) => log.info('100 %d %%'), ['100 %d %%']],
    ['a number as message', (log) => log.info(42 as never), [42]],
    ['nothing before the message', (log) => log.info(undefined as never, 'm'), ['m']],
    ['null before the message', (log) => log.info(null as never, 'm %s', 'a'), ['m a']],
    ['nothing at all', (log) => log.info(undefined as never), [{}]],
    [
      'an error among the arguments',
      (log) => log.info('failed:', secret),
      ['failed: RangeError: refused\n    at x'],
    ],
    [
      'an argument that throws',
      (log) => log.info('m %j', broken),
      ['m %j (its arguments cannot be shown: do not look)'],
    ],
  ])('%s', (_what, log, line) => {
    expect(writes(log)).toEqual([['info', ...line]])
  })
})

describe('a child', () => {
  /** The fields of the lines as they are made JSON. */
  function makeParent() {
    const lines: [level: string, fields: unknown, message: string | undefined][] = []
    const clock = { now: 0 }
    const json = (fields: object): unknown => JSON.parse(JSON.stringify(fields))
    const log = new BoundedLog(
      (level, fields, message) =>
        void lines.push(
          typeof fields === 'string' ? [level, undefined, fields] : [level, json(fields), message],
        ),
      () => clock.now,
    )
    return { log, lines, clock }
  }

  it('adds its fields to each line; of two of one name the line’s own counts', () => {
    const { log, lines } = makeParent()
    const bindings = { step: 'resize', width: 1 }
    const { info, child } = log.child(bindings)
    bindings.step = 'changed later'
    info('begun')
    info({ width: 2 }, 'done')
    child({ tile: 3 }).trace({ width: 4 })
    log.info('the parent')
    expect(lines).toEqual([
      ['info', { step: 'resize', width: 1 }, 'begun'],
      ['info', { step: 'resize', width: 2 }, 'done'],
      ['trace', { step: 'resize', width: 4, tile: 3 }, undefined],
      ['info', undefined, 'the parent'],
    ])
  })

  it('shares the bound of its parent, and how many lines were dropped is told without its fields', () => {
    const { log, lines, clock } = makeParent()
    for (let n = 0; n < 600; n++) log.info('parent')
    for (let n = 0; n < 600; n++) log.child({ n }).info('child')
    expect(lines).toHaveLength(1_000)
    clock.now = 1_000
    log.child({ n: 1 }).info('again')
    expect(lines.slice(1_000)).toEqual([
      ['warn', undefined, expect.stringContaining('200 were dropped')],
      ['info', { n: 1 }, 'again'],
    ])
  })

  it('takes an error and what has a toJSON as its parent does', () => {
    const { log, lines } = makeParent()
    const child = log.child({ step: 'a' })
    child.error(new Error('no'), 'failed')
    child.info({ toJSON: () => ({ as: 'it says' }) })
    log.child(new Error('bound')).info('b')
    expect(lines).toMatchObject([
      ['error', { step: 'a', err: {} }, 'failed'],
      ['info', { step: 'a', as: 'it says' }, undefined],
      ['info', { err: {} }, 'b'],
    ])
  })

  it.each([[undefined], [null], ['step'], [['step']], [7]])('of %o is refused', (bindings) => {
    const { log } = makeParent()
    expect(() => log.child(bindings as never)).toThrow(/^log\.child got .* Give the fields of its lines/)
  })
})
