import { setImmediate } from 'node:timers/promises'
import * as v8 from 'node:v8'
import { MessagePort } from 'node:worker_threads'
import { describe, expect, it } from 'vitest'
import { idKeyBytes } from '../../src/job/job-ids.js'
import { payloadLimits } from '../../src/job/payload-limits.js'
import { startThread, type ThreadSettings } from '../../src/threads/thread.js'

const good: ThreadSettings = {
  tasks: undefined,
  nice: 0,
  resourceLimits: undefined,
  execArgv: undefined,
  entry: undefined,
  payloadLimits: payloadLimits(),
  sensitiveByDefault: false,
}
const refusedBy = (settings: Partial<ThreadSettings>) => (): void => {
  const listener = { message: () => undefined, exited: () => undefined }
  startThread('cpu', new Uint8Array(idKeyBytes), { ...good, ...settings }, listener)
}

describe('a thread that cannot be started', () => {
  it('because of its flags says where to look', () => {
    expect(refusedBy({ execArgv: ['--no-such-flag'] })).toThrow(
      expect.objectContaining({
        code: 'ERR_SIDEWORK_THREAD_START',
        message: expect.stringMatching(/--no-such-flag.*Look at threads\.execArgv\.$/) as string,
      }),
    )
  })

  it('leaves no message port behind, however often it is tried', async () => {
    const portsAfter = async (tries: number): Promise<number> => {
      for (let n = 0; n < tries; n++) {
        expect(refusedBy({ tasks: './nowhere.js' })).toThrow('is not a file')
        expect(refusedBy({ execArgv: ['--no-such-flag'] })).toThrow('--no-such-flag')
      }
      for (let turn = 0; turn < 5; turn++) await setImmediate() // one end closes, then the other
      return v8.queryObjects(MessagePort, { format: 'count' })
    }
    const before = await portsAfter(1)
    expect(await portsAfter(10)).toBe(before)
  })
})
