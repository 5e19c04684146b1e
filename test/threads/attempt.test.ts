import { expect, it } from 'vitest'
import { Attempt, type AttemptHost } from '../../src/threads/attempt.js'

/** An attempt whose timers never fire, as while its handler computes, and what it says at which ms. */
function computing() {
  const clock = { now: 0 }
  const beats: number[] = []
  const told: unknown[] = []
  const timers = new Set<() => void>()
  const host = {
    now: () => clock.now,
    after: (_ms: number, task: () => void) => {
      timers.add(task)
      return () => void timers.delete(task)
    },
    heartbeat: () => void beats.push(clock.now),
    progress: (_token: number, value: unknown) => void told.push([clock.now, value]),
  } as unknown as AttemptHost // nothing else is called
  const attempt = new Attempt(host, 1, 1, 0, 'id', 't', 1, 1, undefined, undefined)
  return { attempt, clock, beats, told, timers }
}

it('a handler that computes without a pause is heard every 10 ms, however often it calls heartbeat()', () => {
  const { attempt, clock, beats, timers } = computing()
  for (; clock.now < 50; clock.now++) attempt.heartbeat()
  expect(beats).toEqual([0, 10, 20, 30, 40])
  attempt.end()
  expect(timers.size).toBe(0)
})

it('as text it shows what it knows of its job, and no number of ours', () => {
  const { attempt } = computing()
  expect(JSON.parse(JSON.stringify(attempt))).toEqual({ task: 't', attempt: 1, maxAttempts: 1 })
  expect(Object.keys(attempt)).not.toContain('token')
  expect(attempt.token).toBe(1)
})

it('its progress is told every 100 ms, the last when it ends; meanwhile it is heard', () => {
  const { attempt, clock, beats, told, timers } = computing()
  for (; clock.now < 250; clock.now += 5) attempt.progress(clock.now / 250)
  attempt.end()
  expect(told).toEqual([[0, '0'], [100, '0.4'], [200, '0.8'], [250, '0.98']]) // prettier-ignore
  const pauses = beats.slice(1).map((at, index) => at - (beats[index] ?? 0))
  expect(Math.max(...pauses)).toBeLessThanOrEqual(15)
  expect(timers.size).toBe(0)
})
