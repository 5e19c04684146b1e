import { describe, expect, it } from 'vitest'
import { LeakWatch } from '../../src/threads/leak-watch.js'
import type { LeakMessage } from '../../src/threads/protocol.js'

function makeWatch(atStart: string[] = []) {
  const sent: LeakMessage[] = []
  const open = [...atStart]
  let now = 0
  const watch = new LeakWatch({
    send: (message) => void sent.push(message),
    openResources: () => open,
  })
  return { ended: (task: string) => watch.ended(task, (now += 10)), sent, open }
}

describe('what tasks leave open', () => {
  it('is told when it is 32 more than after the start, with the task that left most', () => {
    const { ended, sent, open } = makeWatch(['MessagePort', 'Timeout'])
    for (let n = 0; n < 30; n++) {
      open.push('Timeout')
      ended('leaky')
      ended('innocent')
    }
    open.push('TCPSocketWrap')
    ended('connects')
    expect(sent).toEqual([])
    open.push('Timeout')
    ended('leaky')
    expect(sent).toEqual([
      { kind: 'leak', task: 'leaky', count: 32, resources: ['MessagePort', 'Timeout', 'TCPSocketWrap'] },
    ])
    ended('leaky')
    expect(sent).toHaveLength(1)
  })

  it('does not count requests and callbacks under way, nor a pool that stays as it is', () => {
    const { ended, sent, open } = makeWatch()
    open.push(...Array.from({ length: 20 }, () => 'TCPSocketWrap'))
    open.push(...Array.from({ length: 100 }, () => 'FSReqCallback'))
    open.push(...Array.from({ length: 100 }, () => 'Immediate'))
    for (let n = 0; n < 1000; n++) ended('query')
    expect(sent).toEqual([])
  })
})
