import { decodePayload } from '../../src/job/payload.js'
import type { RunMessage } from '../../src/threads/protocol.js'
import type { FakeThread } from './fake-thread.js'
import type { Run } from './script.js'

/** The execution that stands at `index` of a batch, as the thread opens it. */
export function readRun(message: RunMessage, index: number, thread: FakeThread): Run {
  const extra = message.extras?.find(({ at }) => at === index)
  const [, task, maxAttempts] = thread.taskAt(message, index)
  const payloads = JSON.parse(`[${message.payloads}]`) as unknown[]
  const payload = extra?.bytes === undefined ? payloads[index] : decodePayload(extra.bytes)
  return {
    thread,
    token: message.tokens?.[index] ?? message.first + index,
    id: thread.idOf(message, index),
    task,
    payload: message.voids?.includes(index) === true ? undefined : payload,
    attempt: extra?.attempt ?? 1,
    maxAttempts: extra?.maxAttempts ?? maxAttempts,
    handed: extra?.handed,
  }
}
