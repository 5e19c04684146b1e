import { describe, expect, it } from 'vitest'
import { failsWith } from '../simulation/script.js'
import { makeSim } from '../simulation/sim.js'

describe('a flow', () => {
  it('runs a diamond in order, and hands each step the results of those before it', async () => {
    const sim = makeSim()
    const step = (name: string) => sim.task(name, { returns: name })
    const flow = sim.scheduler.flow({
      notify: { task: step('notify'), payload: 0, after: ['thumbs', 'subtitles'] },
      thumbs: { task: step('thumbs'), payload: 0, after: ['encode'] },
      subtitles: { task: step('subtitles'), payload: 0, after: ['encode'] },
      encode: { task: step('encode'), payload: 0 },
    })
    expect(sim.scheduler.stats()).toMatchObject({ accepted: 4, blocked: 3, ready: 1 })
    expect(flow.state).toBe('running')
    sim.advance(10)
    expect(sim.order).toEqual(['encode', 'thumbs', 'subtitles', 'notify'])
    expect(flow.state).toBe('completed')
    await expect(flow.result()).resolves.toEqual({
      encode: 'encode', thumbs: 'thumbs', subtitles: 'subtitles', notify: 'notify',
    }) // prettier-ignore
  })

  it('cancels what comes after a step that fails', async () => {
    const sim = makeSim()
    const flow = sim.scheduler.flow({
      a: { task: sim.task('a', failsWith('no'), { attempts: 1 }), payload: 0 },
      b: { task: sim.task('b'), payload: 0, after: ['a'] },
      c: { task: sim.task('c'), payload: 0, after: ['b'] },
      d: { task: sim.task('d'), payload: 0 },
    })
    const result = expect(flow.result()).rejects.toMatchObject({ code: 'ERR_SIDEWORK_FAILED' })
    sim.advance(10)
    await result
    expect(sim.order).toEqual(['a', 'd'])
    expect(flow.jobs.c.snapshot()).toMatchObject({ state: 'cancelled', error: { message: "Step 'a' before it failed." } })
  })
})
