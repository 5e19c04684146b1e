import { expect, it } from 'vitest'
import '../fixtures/tasks/flows.mjs'
import { next, withThreads } from './with-threads.js'

const tasks = new URL('../fixtures/tasks/flows.mjs', import.meta.url)

it('results go from thread to thread, bytes and all, over every lane', async () => {
  const scheduler = withThreads({ tasks })
  const flow = scheduler.flow({
    encode: { task: 'encode', payload: { file: 'a' } },
    thumbs: { task: 'thumbs', payload: 0, after: ['encode'] },
    notify: { task: 'notify', payload: 0, after: ['encode', 'thumbs'] },
  })
  const { notify: seen, thumbs: count } = await flow.result()
  expect(count).toBe(3)
  expect(seen).toEqual({
    encode: { state: 'completed', result: { file: 'a', frames: new Uint8Array([1, 2, 3]) } },
    thumbs: { state: 'completed', result: 3 },
  })
})

it('a handler in a thread fans out, holds no place, and its callback gets the counts', async () => {
  const scheduler = withThreads({ tasks, threads: { cpu: 1, io: 1 } })
  const settled = next(scheduler, 'flow:settled')
  const { id } = (await scheduler.defer('fans-out', 500).result()) as { id: string }
  expect(await settled).toMatchObject({ id, kind: 'batch', state: 'completed', total: 500, completed: 500 })
  expect(scheduler.jobs({ task: 'whole' })[0]?.result).toEqual({ total: 500, completed: 500, failed: 0 })
})

it('a handler in a thread defers a chain and learns the ids of its jobs', async () => {
  const scheduler = withThreads({ tasks })
  const settled = next(scheduler, 'flow:settled')
  const { id, jobs } = (await scheduler.defer('chains', 0).result()) as {
    id: string
    jobs: Record<string, string>
  }
  expect(await settled).toMatchObject({ id, state: 'completed' })
  expect(scheduler.job(jobs['thumbs'] ?? '')).toMatchObject({ state: 'completed', result: 3 })
})
