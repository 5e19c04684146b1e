/** The queue's structures against models that are too simple to be wrong. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Job } from '../../src/job/job.js'
import { TaskRecord } from '../../src/job/task-record.js'
import { OrderingLines } from '../../src/queue/ordering-lines.js'
import { ReadyQueue } from '../../src/queue/ready-queue.js'
import { TimeHeap } from '../../src/queue/time-heap.js'
import { readTaskPolicy } from '../../src/task/task-policy.js'

interface Item {
  readonly seq: number
  readonly priority: number
  readonly readyAt: number
  place: number
}

/** Which job starts next, as src/lanes.md has it. */
function byRule(aging: number | false) {
  return (a: Item, b: Item): number => {
    if (aging === false) return b.priority - a.priority || a.readyAt - b.readyAt || a.seq - b.seq
    const rank = ({ readyAt, priority }: Item): number => readyAt - priority * aging
    return rank(a) - rank(b) || a.seq - b.seq
  }
}

const priority = fc.integer({ min: 0, max: 9 })
const queueStep = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('push' as const),
      priority,
      waits: fc.integer({ min: 0, max: 3 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('older' as const),
      priority,
      by: fc.integer({ min: 0, max: 40 }),
    }),
  },
  { weight: 3, arbitrary: fc.constant({ kind: 'pop' as const }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('remove' as const), which: fc.nat() }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('return' as const), count: fc.integer({ min: 1, max: 5 }) }),
  },
)

describe('the ready queue', () => {
  it('gives out what a sort by the rule gives out, whatever is pushed, taken out and brought back', () => {
    const aging = fc.constantFrom<number | false>(false, 1, 2, 7, 30_000)
    fc.assert(
      fc.property(aging, fc.array(queueStep, { maxLength: 120 }), (agingMs, steps) => {
        const queue = new ReadyQueue<Item>(agingMs)
        const model: Item[] = []
        const taken: Item[] = []
        const order = byRule(agingMs)
        let now = 100
        let seq = 0
        const add = (item: Item): void => {
          queue.push(item)
          model.push(item)
        }
        for (const step of steps) {
          if (step.kind === 'push')
            add({ seq: ++seq, priority: step.priority, readyAt: (now += step.waits), place: 0 })
          if (step.kind === 'older')
            add({ seq: ++seq, priority: step.priority, readyAt: now - step.by, place: 0 })
          if (step.kind === 'return') for (const item of taken.splice(0, step.count)) add(item)
          if (step.kind === 'remove' && model.length > 0) {
            const [item] = model.splice(step.which % model.length, 1)
            if (item) queue.remove(item)
          }
          if (step.kind === 'pop') {
            model.sort(order)
            expect(queue.peek()).toBe(model[0])
            const item = queue.pop()
            expect(item).toBe(model.shift())
            if (item) taken.push(item)
          }
          expect(queue.size).toBe(model.length)
          expect(queue.oldestAt).toBe(Math.min(Infinity, ...model.map(({ readyAt }) => readyAt)))
        }
        model.sort(order)
        while (model.length > 0) expect(queue.pop()).toBe(model.shift())
        expect(queue.pop()).toBeUndefined()
      }),
      { numRuns: 400 },
    )
  })

  it('keeps its order over more milliseconds than 32 bits hold', () => {
    const queue = new ReadyQueue<Item>(1)
    const [first, between, last] = [0, 2 ** 31, 2 ** 32 + 5].map((after, seq) => ({
      seq,
      priority: 5 - (seq % 2),
      readyAt: 100 + after,
      place: 0,
    })) as [Item, Item, Item]
    for (const item of [first, between, last]) queue.push(item)
    expect([queue.pop(), queue.pop(), queue.pop()]).toEqual([first, between, last])
  })

  it('keeps its order over more jobs than its rings begin with, with holes everywhere', () => {
    const queue = new ReadyQueue<Item>(30_000)
    const items = Array.from({ length: 20_000 }, (_, seq) => ({
      seq,
      priority: seq % 10,
      readyAt: seq >> 3,
      place: 0,
    }))
    for (const item of items) queue.push(item)
    const left = items.filter(({ seq }) => seq % 3 !== 0)
    for (const item of items) if (item.seq % 3 === 0) queue.remove(item)
    expect(left.sort(byRule(30_000)).every((item) => queue.pop() === item)).toBe(true)
    expect(queue.size).toBe(0)
  })
})

describe('the heap of everything timed', () => {
  it('gives out the earliest first, ties by acceptance, whatever is taken out in between', () => {
    const step = fc.oneof(
      {
        weight: 4,
        arbitrary: fc.record({ kind: fc.constant('add' as const), at: fc.integer({ min: 0, max: 50 }) }),
      },
      { weight: 2, arbitrary: fc.constant({ kind: 'shift' as const }) },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant('look' as const), at: fc.nat(60) }) },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant('remove' as const), which: fc.nat() }) },
      // So many that dead entries come to outnumber the living.
      { weight: 1, arbitrary: fc.constant({ kind: 'flood' as const }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('ebb' as const), salt: fc.nat() }) },
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const heap = new TimeHeap<{ seq: number; at: number; place: number }>()
        const model: { seq: number; at: number; place: number }[] = []
        let seq = 0
        for (const one of steps) {
          if (one.kind === 'add') {
            const item = { seq: ++seq, at: one.at, place: 0 }
            heap.add(item, item.at)
            model.push(item)
          } else if (one.kind === 'remove' && model.length > 0) {
            const [item] = model.splice(one.which % model.length, 1)
            if (item) heap.remove(item)
          } else if (one.kind === 'flood') {
            for (let n = 0; n < 100; n++) {
              const item = { seq: ++seq, at: (Math.imul(n + seq, 0x85ebca6b) >>> 8) % 50, place: 0 }
              heap.add(item, item.at)
              model.push(item)
            }
          } else if (one.kind === 'ebb') {
            const goes = ({ seq }: { seq: number }): boolean =>
              Math.imul(seq + one.salt, 0x9e3779b1) % 8 !== 0
            for (const item of model.filter(goes)) heap.remove(item)
            model.splice(0, model.length, ...model.filter((item) => !goes(item)))
            expect([...heap.values()].sort((a, b) => a.seq - b.seq)).toEqual(
              [...model].sort((a, b) => a.seq - b.seq),
            )
          } else if (one.kind === 'shift') {
            model.sort((a, b) => a.at - b.at || a.seq - b.seq)
            expect(heap.shift()).toBe(model.shift())
          } else if (one.kind === 'look') {
            model.sort((a, b) => a.at - b.at || a.seq - b.seq)
            const due = model.filter(({ at }) => at <= one.at)
            expect(heap.until(one.at, 30)).toEqual(due.length > 30 ? [] : due)
          }
          expect(heap.size).toBe(model.length)
          expect(heap.firstAt).toBe(Math.min(Infinity, ...model.map(({ at }) => at)))
        }
      }),
      { numRuns: 400 },
    )
  })
})

describe('ordering lines', () => {
  it('are first in, first out, whoever leaves from wherever, halted or not', () => {
    const task = new TaskRecord('t', readTaskPolicy('t', {}, {}), 1)
    const which = fc.nat()
    const key = fc.constantFrom('a', 'b')
    const first = fc.constantFrom('no', 'at the front', 'behind the head')
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ kind: fc.constant('join' as const), key }) },
      { weight: 3, arbitrary: fc.record({ kind: fc.constant('leave' as const), key, which }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('halt' as const), key }) },
      {
        weight: 1,
        arbitrary: fc.record({ kind: fc.constant('release' as const), key, first }),
      },
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 150 }), (steps) => {
        const lines = new OrderingLines()
        const model = { a: [] as Job[], b: [] as Job[] }
        const halted = new Set<string>()
        let seq = 0
        const make = (): Job => new Job(task, ++seq, 'ready', 5, 0, undefined)
        for (const one of steps) {
          const line = model[one.key]
          if (one.kind === 'join') {
            const job = make()
            job.more()
            expect(lines.join(job, one.key)).toBe(line.length === 0 && !halted.has(one.key))
            line.push(job)
          } else if (one.kind === 'leave' && line.length > 0) {
            const index = one.which % line.length
            const [job] = line.splice(index, 1)
            const next = index === 0 && !halted.has(one.key) ? line[0] : undefined
            if (job) expect(lines.leave(job, one.key)).toBe(next)
            if (job) expect(lines.has(job)).toBe(false)
          } else if (one.kind === 'halt') {
            lines.halt(one.key, 'id')
            halted.add(one.key)
          } else if (one.kind === 'release') {
            expect(lines.release(one.key)).toBe(halted.delete(one.key) ? line[0] : undefined)
            if (one.first === 'no') continue
            const begun = one.first === 'behind the head' ? line[0] : undefined
            const job = make()
            job.more()
            lines.joinFirst(job, one.key, begun)
            line.splice(begun === undefined ? 0 : 1, 0, job)
          }
          for (const name of ['a', 'b'] as const) {
            expect(model[name].every((job) => lines.has(job))).toBe(true)
          }
          expect(lines.size).toBe(Number(model.a.length > 0) + Number(model.b.length > 0))
        }
      }),
      { numRuns: 400 },
    )
  })
})
