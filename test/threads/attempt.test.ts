import { expect, it } from 'vitest'
import { Attempt, type AttemptHost } from '../../src/threads/attempt.js'

/** An attempt whose timers never fire, as while its handler computes, and what it says at which ms. */
function computing() {
  const clock = { now: 0 }
  const beats: number[] = []
  const told: unknown[] = []
  const pauses: unknown[] = []
  const timers = new Set<() => void>()
  const host = {
    now: () => clock.now,
    after: (_ms: number, task: () => void) => {
      timers.add(task)
      return () => void timers.delete(task)
    },
    heartbeat: () => void beats.push(clock.now),
    pauseLimit: (_token: number, name: string, delayMs: number) =>
      void pauses.push([clock.now, name, delayMs]),
    progress: (_token: number, value: unknown) => void told.push([clock.now, value]),
  } as unknown as AttemptHost // nothing else is called
  const attempt = new Attempt(host, 1, 1, 0, 'id', 't', 1, 1, undefined, undefined)
  return { attempt, clock, beats, told, pauses, timers }
}

it('a handler that computes without a pause is heard every 10 ms, however often it calls heartbeat()', () => {
  const { attempt, clock, beats, timers } = computing()
  for (; clock.now < 50; clock.now++) attempt.heartbeat()
  expect(beats).toEqual([0, 10, 20, 30, 40])
  attempt.end()
  expect(timers.size).toBe(0)
})

it('a handler that calls pauseLimit in a loop is heard every 10 ms for each limit, its last call at its end', () => {
  const { attempt, clock, pauses, timers } = computing()
  for (; clock.now < 25; clock.now += 1 / 64) {
    attempt.pauseLimit('a', 1000)
    attempt.pauseLimit('a', 5) // ends before the other
    if (clock.now === 0 || clock.now === 24) attempt.pauseLimit('b', clock.now === 0 ? 1 : 500)
  }
  attempt.end()
  attempt.pauseLimit('a', 9000) // nobody hears it any more
  expect(pauses).toEqual([[0, 'a', 1000], [0, 'b', 1], [10, 'a', 1000], [20, 'a', 1000], [24, 'b', 500], [25, 'a', 1000 - 1 / 64]]) // prettier-ignore
  expect(timers.size).toBe(0)
})

it('a handler that takes keys for names of limits is heard for 100 of them, and again for each of those', () => {
  const { attempt, clock, pauses, timers } = computing()
  for (let n = 0; n < 5000; n++) attempt.pauseLimit(`user-${n}`, 1000)
  expect(pauses).toHaveLength(100)
  clock.now = 20
  for (const name of ['user-99', 'user-100']) attempt.pauseLimit(name, 5000)
  attempt.end()
  expect(pauses.slice(100)).toEqual([[20, 'user-99', 5000]])
  expect(timers.size).toBe(0)
})

it('a pause that waits to be told is told when its timer fires, for the time that is left', () => {
  const { attempt, clock, pauses, timers } = computing()
  attempt.pauseLimit('a', 100)
  clock.now = 2
  attempt.pauseLimit('a', 200)
  clock.now = 12
  for (const fire of timers) fire()
  attempt.end()
  expect(pauses).toEqual([[0, 'a', 100], [12, 'a', 190]]) // prettier-ignore
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
