/** Tasks of lane cpu that mostly wait are noticed in their first attempts. */
import { describe, expect, it } from 'vitest'
import type { WaitsMessage } from '../../src/threads/protocol.js'
import { WaitWatch } from '../../src/threads/wait-watch.js'

function watching() {
  const told: WaitsMessage[] = []
  const loop = { idle: 0, active: 0 }
  let looks = 0
  const watch = new WaitWatch({
    send: (message) => void told.push(message),
    utilization: () => {
      looks++
      return { ...loop }
    },
  })
  /** One attempt that computes and waits for so long. */
  const attempt = (task: string, waitedMs: number, busyMs: number): void => {
    watch.waits(task)
    loop.idle += waitedMs
    loop.active += busyMs
    watch.ended(task)
    loop.idle += 5_000 // nothing to do until the next
  }
  return { told, attempt, looks: () => looks }
}

describe('a task of lane cpu', () => {
  it('that waits for a second in its first attempt is told at once, and once', () => {
    const { told, attempt } = watching()
    for (let n = 0; n < 30; n++) attempt('asks', 1_000, 10)
    expect(told).toEqual([{ kind: 'waits', task: 'asks', attempts: 1, waitedMs: 1_000, tookMs: 1_010 }])
  })

  it('that waits for a little is told after 20 attempts', () => {
    const { told, attempt } = watching()
    for (let n = 0; n < 19; n++) attempt('asks', 15, 1)
    expect(told).toEqual([])
    attempt('asks', 15, 1)
    expect(told).toMatchObject([{ task: 'asks', attempts: 20, waitedMs: 300 }])
  })

  it.each([
    ['computes as long as it waits', 100, 100],
    ['waits for less than 0.2 s in all', 9, 0],
  ])('that %s is not told', (_what, waitedMs, busyMs) => {
    const { told, attempt } = watching()
    for (let n = 0; n < 100; n++) attempt('works', waitedMs, busyMs)
    expect(told).toEqual([])
  })

  it('is watched for 20 attempts, and costs nothing from then on', () => {
    const { attempt, looks } = watching()
    for (let n = 0; n < 20; n++) attempt('works', 1, 1)
    expect(looks()).toBe(40)
    for (let n = 0; n < 1_000; n++) attempt('works', 1, 1)
    expect(looks()).toBe(40)
  })
})
