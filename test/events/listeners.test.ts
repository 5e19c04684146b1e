import { expect, it, onTestFinished } from 'vitest'
import { createScheduler } from '../../src/index.js'

function makeScheduler() {
  const scheduler = createScheduler({ logger: false })
  onTestFinished(() => void scheduler.close({ timeout: 0 }))
  return scheduler
}

it('a listener added with on and with once is called twice at first and once from then on', async () => {
  const scheduler = makeScheduler()
  const heard: string[] = []
  const listener = ({ id }: { id: string }) => void heard.push(id)
  scheduler.on('accepted', listener).once('accepted', listener)
  await scheduler.defer(() => 1, { id: 'first' }).result()
  await scheduler.defer(() => 1, { id: 'second' }).result()
  expect(heard).toEqual(['first', 'first', 'second'])
})

it('a listener that is taken off is not called again', async () => {
  const scheduler = makeScheduler()
  const heard: string[] = []
  const listener = ({ id }: { id: string }) => void heard.push(id)
  scheduler.on('accepted', listener)
  await scheduler.defer(() => 1, { id: 'first' }).result()
  scheduler.off('accepted', listener)
  await scheduler.defer(() => 1, { id: 'second' }).result()
  expect(heard).toEqual(['first'])
})
