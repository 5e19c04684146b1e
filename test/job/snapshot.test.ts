import { expect, it, onTestFinished } from 'vitest'
import { createScheduler } from '../../src/index.js'

function makeScheduler() {
  const scheduler = createScheduler({
    logger: false,
    defaults: { attempts: 2, backoff: { type: 'fixed', delay: 0 } },
  })
  onTestFinished(() => void scheduler.close({ timeout: 0 }))
  return scheduler
}

it('nothing in a snapshot can be changed', async () => {
  const scheduler = makeScheduler()
  const fail = ({ progress }: { progress: (value: { ratio: number }) => void }) => {
    progress({ ratio: 0.5 })
    throw new Error('broken')
  }
  await scheduler.defer(fail, { id: 'a' }).result().catch(() => undefined) // prettier-ignore
  const waiting = scheduler.defer(() => 1, { delay: '1h' }).snapshot()
  const failed = scheduler.job('a')
  const parts = [
    waiting,
    waiting.errors,
    failed,
    failed?.progress,
    failed?.error,
    failed?.errors,
    failed?.errors[0],
  ]
  expect(parts.map((part) => part !== undefined && Object.isFrozen(part))).toEqual(parts.map(() => true))
})
