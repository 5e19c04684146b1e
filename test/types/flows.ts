/** What the types of flows accept, refuse and infer. */
import { defineTask, type BatchCounts, type Job, type Scheduler } from 'sidework'
import type {} from 'sidework/express'

/** Fails to compile unless both are the same type. */
const exactly =
  <Expected>() =>
  <Actual>(
    _actual: Actual & ([Actual] extends [Expected] ? ([Expected] extends [Actual] ? unknown : never) : never),
  ) =>
    undefined

const encode = defineTask('flows.encode', async ({ file }: { file: string }) => ({ seconds: file.length }))
const thumbs = defineTask('flows.thumbs', (_: { file: string }, { result, results }) => {
  exactly<{ seconds: number }>()(result(encode))
  exactly<unknown>()(result('flows.encode', 'encode'))
  exactly<BatchCounts>()(results.batch)
  const end = results['encode']
  if (end?.state === 'completed') exactly<unknown>()(end.result)
  else if (end !== undefined) exactly<string>()(end.error.message)
  return ['a.webp']
})
const tick = defineTask('flows.tick', () => 1)

export async function flows(scheduler: Scheduler, request: Express.Request) {
  for (const from of [scheduler, request.defer]) {
    const flow = from.flow(
      {
        encode: { task: encode, payload: { file: 'a' } },
        thumbs: { task: thumbs, payload: { file: 'a' }, after: ['encode'], options: { priority: 'high' } },
        tick: { task: tick, after: ['encode', 'thumbs'] },
        named: { task: 'flows.tick', payload: 'anything' },
      },
      { onFailure: 'continue', deadline: '1h', priority: 'low' },
    )
    exactly<Job<{ seconds: number }>>()(flow.jobs.encode)
    const result = await flow.result({ timeout: '5s' })
    exactly<string[]>()(result.thumbs)
    exactly<number>()(result.tick)
    exactly<unknown>()(result.named)

    // @ts-expect-error there is no such step
    from.flow({ a: { task: tick, after: ['b'] } })
    // @ts-expect-error its payload is of another type
    from.flow({ a: { task: encode, payload: { file: 1 } } })
    // @ts-expect-error it has no payload
    from.flow({ a: { task: encode } })
    // @ts-expect-error a step is never a duplicate
    from.flow({ a: { task: tick, options: { dedupe: 'k' } } })
    // @ts-expect-error there is no such step
    void flow.jobs.nobody

    const chain = from.chain([
      { task: encode, payload: { file: 'a' } },
      { task: tick, ref: 'last' },
    ])
    exactly<Job | undefined>()(chain.jobs['last'])
    // @ts-expect-error its payload is of another type
    from.chain([{ task: encode, payload: { file: 1 } }])

    const batch = from.batch(encode, [{ file: 'a' }], { callback: { task: thumbs, payload: { file: 'b' } } })
    exactly<readonly Job<{ seconds: number }>[]>()(batch.jobs)
    exactly<BatchCounts>()(await batch.result())
    // @ts-expect-error a payload is of another type
    from.batch(encode, [{ file: 1 }])
    // @ts-expect-error the callback's payload is of another type
    from.batch(encode, [{ file: 'a' }], { callback: { task: thumbs, payload: { file: 1 } } })
  }
  const held = request.defer.flow({ a: { task: tick } }, { on: 'success' })
  exactly<number>()((await held.result()).a)
}

export const parent = defineTask('flows.parent', async (_: void, { defer }) => {
  const { id, jobs } = await defer.flow({
    a: { task: tick },
    b: { task: encode, payload: { file: 'a' }, after: ['a'] },
  })
  exactly<string>()(jobs.b)
  // @ts-expect-error there is no such step
  await defer.flow({ a: { task: tick, after: ['b'] } })
  // @ts-expect-error its payload is of another type
  await defer.batch(encode, [{ file: 1 }])
  await defer.chain([{ task: tick }, { task: encode, payload: { file: 'a' } }])
  const batch = await defer.batch(encode, [{ file: 'a' }], { callback: { task: tick } })
  return [id, batch.id]
})
