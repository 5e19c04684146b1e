/** `context.log` beside pino itself: the same calls, the same lines. */
import pino from 'pino'
import { expect, it, onTestFinished } from 'vitest'
import { createScheduler } from '../../src/index.js'
import type { TaskLog } from '../../src/task/context.js'

/** A logger, and its lines without what differs from one call to the next. */
function makeLogger() {
  const lines: Record<string, unknown>[] = []
  const write = (line: string): void => {
    const { stack, ...err } = (JSON.parse(line) as { err?: Record<string, unknown> }).err ?? {}
    const shown = stack === undefined ? undefined : { err: { ...err, stack: String(stack).split('\n')[0] } }
    lines.push({ ...(JSON.parse(line) as object), ...shown })
  }
  return { logger: pino({ base: undefined, timestamp: false }, { write }), lines }
}

const failure = Object.assign(new TypeError('in a field'), { code: 'E_FIELD' })
it.each<[string, (log: Pick<TaskLog, 'info' | 'error'>) => void]>([
  ['a message with an argument', (log) => log.info('plain %s', 'arg')],
  ['fields and a message with an argument', (log) => log.info({ n: 1 }, 'm %d', 5)],
  ['an error alone', (log) => log.error(new RangeError('alone'))],
  ['an error and a message', (log) => log.error(failure, 'failed')],
  ['an error as field', (log) => log.info({ err: failure, n: 1 }, 'm')],
  ['an error as field, without a message', (log) => log.info({ err: failure })],
  [
    'what is no error as field',
    (log) => log.info({ err: { name: 'E', message: 'no', status: 500 }, n: 1 }, 'm'),
  ],
  ['text as that field', (log) => log.info({ err: 'no' }, 'm')],
])('%s is the line that pino writes', async (_what, call) => {
  const own = makeLogger()
  call(own.logger)
  const { logger, lines } = makeLogger()
  const scheduler = createScheduler({ logger })
  onTestFinished(() => void scheduler.close({ timeout: 0 }))
  const job = scheduler.defer(({ log }) => call(log))
  await job.result()
  expect(lines).toEqual(own.lines.map((line) => ({ ...line, job: job.id, task: '(inline)', attempt: 1 })))
})

it('the causes of an error that a handler logs are in its stack', async () => {
  const lines: string[] = []
  const logger = pino(
    { base: undefined, timestamp: false },
    { write: (line: string) => void lines.push(line) },
  )
  const scheduler = createScheduler({ logger })
  onTestFinished(() => void scheduler.close({ timeout: 0 }))
  await scheduler
    .defer(({ log }) => log.error(new Error('outer', { cause: new RangeError('inner') })))
    .result()
  const { err } = JSON.parse(lines[0] ?? '') as { err: { stack: string } }
  expect(err.stack).toMatch(/^Error: outer\n[^]*\ncaused by: RangeError: inner\n/)
})
