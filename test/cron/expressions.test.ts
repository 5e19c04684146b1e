import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { createCron } from '../../src/cron/index.js'
import { describeExpression, describeInterval } from '../../src/cron/describe.js'
import { createScheduler } from '../../src/scheduler.js'
import { leastMs } from '../least.js'

const cron = createCron(createScheduler({ logger: false }))

/** The error of scheduling it. */
function refusal(expression: unknown, options?: object): { code?: string; message: string } {
  try {
    cron.schedule('refused', expression as string, () => undefined, options)
  } catch (error) {
    return { code: (error as { code: string }).code, message: (error as Error).message }
  } finally {
    cron.remove('refused')
  }
  return { message: 'accepted' }
}

describe('an expression is refused', () => {
  it.each([
    ['75 * * * *', 'minute: 75 is not in 0–59.'],
    ['60 * * * *', 'minute: 60 is not in 0–59; the full minute is 0.'],
    ['0 24 * * *', 'hour: 24 is not in 0–23; midnight is 0.'],
    ['0 0 0 * *', 'day of month: 0 is not in 1–31; the last day of a month is L.'],
    ['0 0 * 13 *', 'month: 13 is not in 1–12.'],
    ['0 0 * * 8', 'day of week: 8 is not in 0–7.'],
    ['0 0 * janu *', "month: 'janu' is not a name of a month. Did you mean 'jan'?"],
    ['0 0 * * mo', "day of week: 'mo' is not a name of a day. Did you mean 'mon'?"],
    ['5/15 * * * *', "minute: the step of '5/15' needs a range. Did you mean '5-59/15'?"],
    ['60/5 * * * *', 'minute: 60 is not in 0–59; the full minute is 0.'],
    ['*/0 * * * *', "minute: the step of '*/0' must be a number from 1."],
    ['1,,2 * * * *', 'minute: the list has an empty item.'],
    ['-1 * * * *', "minute: '-1' is negative."],
    ['0 0 * * 5#6', "day of week: '5#6' cannot be read."],
    ['0 2 * *', 'It has 4 fields.'],
    ['', 'It has 0 fields.'],
    ['daily', 'It has 1 field. Give 5 (minute hour day month weekday)'],
    ['0 2 * * * 2026 x', 'It has 7 fields.'],
    ['0 0 0 1 1 * 2026', 'years are for startAt and endAt'],
    ['0 0 1 1 * 2026', 'day of week: 2026 is not in 0–7; years are for startAt and endAt.'],
    ['15 minutes', "use cron.every(name, '15 minutes', task)"],
    ['0 2 * * ;', "';' has no meaning"],
    ['@reboot', 'call scheduler.defer there'],
    ['@every 5m', "use cron.every(name, '5m', task)"],
    ['@dayly', 'Known are: @yearly'],
    ['0 0 30 2 *', 'day of month: 30 never comes in month 2.'],
    [undefined, 'The cron expression is undefined. Give cron.schedule(name, expression, task)'],
    [7, 'the expression as a string'],
  ])('%s: %s', (expression, why) => {
    expect(refusal(expression)).toMatchObject({ code: 'ERR_SIDEWORK_CRON_EXPRESSION', message: expect.stringContaining(why) })
  }) // prettier-ignore

  it.each([
    ['a task', { name: 't', run: () => undefined, options: {} }, 'an object'],
    ['the name of a task', 'send-welcome', "'send-welcome'"],
    ['a closure', () => undefined, 'a function'],
  ])('when the name was forgotten, before %s: the first argument is the name', (_name, task, shown) => {
    expect(() => cron.schedule('0 3 * * *', task as string, 't')).toThrow(
      expect.objectContaining({
        code: 'ERR_SIDEWORK_OPTION',
        message:
          `cron.schedule got '0 3 * * *' as the name of the schedule and ${shown} as its expression. ` +
          "The first argument is the name: cron.schedule('nightly', '0 3 * * *', task).",
      }),
    )
  })

  it.each([
    ['D8: a huge range', '1-99999999 * * * *', 'minute: 99999999 is not in 0–59'],
    ['D8: a huge step', '*/99999999999999999999 * * * *', 'is not in 0–59'],
    ['D8: a list of 50,000 items', `${Array.from({ length: 50_000 }, (_, n) => n % 60).join(',')} * * * *`, 'characters'],
    ['D8: a list of 400 items', `${'1,'.repeat(400)}1 * * * *`, 'a list of 401'],
    ['D8: a string of 1 MB', '* '.repeat(500_000), 'characters'],
    ['D8: 1 MB of letters', 'L'.repeat(1_000_000), 'characters'],
    ['D8: 500 fields', '* '.repeat(500), 'It has 500 fields'],
    ['D8: 1,000 digits', `${'9'.repeat(1_000)} * * * *`, 'is not in 0–59'],
    ['D8: 100 of the widest ranges', `${Array(90).fill('1-99/1').join(',')} * * * *`, '99 is not in 0–59'],
    ['D7: a day that never comes', '0 0 30W 2 *', 'Such a day never comes'],
    ['D7: a fifth Monday and a 1st', '0 0 1 * 1#5', 'Such a day never comes', { dayMatch: 'and' }],
  ])('in less than 5 ms: %s', (_name, expression, why, options?: object) => {
    expect(refusal(expression, options)).toMatchObject({ code: 'ERR_SIDEWORK_CRON_EXPRESSION', message: expect.stringContaining(why) })
    expect(leastMs(20, () => refusal(expression, options))).toBeLessThan(5)
  }) // prettier-ignore
})

/** Until the test has finished. */
function setZone(variable: string): void {
  const before = process.env['TZ']
  onTestFinished(() => {
    if (before === undefined) delete process.env['TZ']
    else process.env['TZ'] = before
    cron.remove('zone')
  })
  process.env['TZ'] = variable
}

describe('a time zone is refused', () => {
  it.each(['', 'Europe/Atlantis', '../../etc/localtime', '/etc/localtime', 'Europe/../UTC', '+05:30', 'UTC ', 'x'.repeat(1e6), 5, null, {}])(
    'D9: %s',
    (timezone) => {
      expect(refusal('0 2 * * *', { timezone })).toMatchObject({
        code: 'ERR_SIDEWORK_OPTION',
        message: expect.stringContaining('timezone is'),
      })
    },
  ) // prettier-ignore

  it('and without one the zone of the system is used and shown', () => {
    cron.schedule('zone', '0 2 * * *', () => undefined)
    expect(cron.get('zone')).toMatchObject({ timezone: new Intl.DateTimeFormat().resolvedOptions().timeZone })
    cron.remove('zone')
  })

  it.each([
    ['', 'UTC'],
    [':/etc/localtime', 'UTC'],
    ['UTC0', 'UTC'],
    ['Europe/Atlantis', 'UTC'],
    ['GMT+5', 'Etc/GMT+5'],
    ['GMT-14', 'Etc/GMT-14'],
    [':Europe/Berlin', 'Europe/Berlin'],
  ])('also where TZ=%s names none as Node reads it: what its clock shows', (variable, timezone) => {
    setZone(variable)
    cron.schedule('zone', '0 2 * * *', () => undefined)
    expect(cron.get('zone')).toMatchObject({ timezone })
    const [next = 0] = cron.nextRuns('zone', 1)
    expect(new Date(next).getHours()).toBe(2)
  })

  it('or, where its distance to UTC has no name, how to give one', () => {
    setZone('UTC0')
    const offset = vi.spyOn(Date.prototype, 'getTimezoneOffset').mockReturnValue(-330)
    onTestFinished(() => void offset.mockRestore())
    expect(() => cron.schedule('zone', '0 2 * * *', () => undefined)).toThrow(
      "The system's time zone has no name that Node knows: TZ is 'UTC0'. Set TZ to one such as 'Europe/Berlin', or give timezone.",
    )
  })
})

describe('a description', () => {
  it.each([
    ['0 2 * * *', 'every day at 02:00'],
    ['30 0 2 * * *', 'every day at 02:00:30'],
    ['@daily', 'every day at 00:00'],
    ['@hourly', 'every hour'],
    ['* * * * *', 'every minute'],
    ['* * * * * *', 'every second'],
    ['*/10 * * * *', 'every 10 minutes'],
    ['15 * * * *', 'every hour at minute 15'],
    ['0 */6 * * *', 'every 6 hours'],
    ['0 9 * * 1-5', 'Monday to Friday at 09:00'],
    ['0 9 * * 7', 'every Sunday at 09:00'],
    ['0 0 1 * *', 'on day 1 of every month at 00:00'],
    ['0 0 L * *', 'on the last day of every month at 00:00'],
    ['@yearly', 'on day 1 of January at 00:00'],
    ['*/7 * * * *', "on '*/7 * * * *'"],
    ['0 9 1,15 * 1', "on '0 9 1,15 * 1'"],
  ])('of %s is: %s', (expression, sentence) => {
    expect(describeExpression(expression, 'UTC')).toBe(`${sentence} (UTC)`)
  })

  it.each([[900_000, 'every 15 minutes'], [86_400_000, 'every day'], [1_500, 'every 1500 milliseconds']])(
    'of an interval of %s ms is: %s',
    (intervalMs, sentence) => expect(describeInterval(intervalMs)).toBe(sentence),
  ) // prettier-ignore
})
