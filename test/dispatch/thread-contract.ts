/** What a ThreadPort must do, whatever is behind it. Run against the fake threads and against real ones. */
import { describe, expect, it } from 'vitest'
import type { Lane } from '../../src/job/snapshot.js'
import { Claims } from '../../src/threads/claims.js'
import type { Ending, FromThread, RunMessage } from '../../src/threads/protocol.js'
import type { ThreadExit, ThreadListener, ThreadPort } from '../../src/world.js'

/** How the threads under test are started. */
export interface ThreadRig {
  start(lane: Lane, listener: ThreadListener): ThreadPort
  /** A thread whose modules cannot be imported. */
  startBroken(lane: Lane, listener: ThreadListener): ThreadPort
  /** Lets the thread work until `holds`. */
  until(holds: () => boolean): Promise<void>
}

class Contact implements ThreadListener {
  readonly messages: FromThread[] = []
  exit: ThreadExit | undefined
  port!: ThreadPort
  claims: Claims | undefined
  readonly #rig: ThreadRig

  constructor(rig: ThreadRig) {
    this.#rig = rig
  }

  message(message: FromThread): void {
    expect(this.exit, 'nothing is said after the exit').toBeUndefined()
    // Says what a start is at, for the report of one that takes too long; a thread need not.
    if (typeof message === 'object' && message.kind === 'starting') return
    this.messages.push(message)
  }

  exited(exit: ThreadExit): void {
    expect(this.exit, 'a thread exits once').toBeUndefined()
    this.exit = exit
  }

  /** Sends a batch of `[task, payload]` and answers its tokens. */
  run(first: number, ...jobs: [task: string, payload?: unknown][]): number[] {
    const names = [...new Set(jobs.map(([task]) => task))]
    const tokens = jobs.map((_, index) => first + index)
    const message: RunMessage = {
      kind: 'run', first, generation: this.claims?.generation ?? 0, introduced: names.map((name, task) => [task, name, 5, false]),
      task: 0, tasks: jobs.map(([task]) => names.indexOf(task)), seqs: tokens, cells: tokens,
      extras: tokens.map((token, at) => ({ at, id: `id-${token}`, attempt: 1, maxAttempts: 5 })),
      payloads: JSON.stringify(jobs.map(([, payload]) => payload ?? null)).slice(1, -1),
      ...(this.claims === undefined ? { tokens } : undefined),
    } // prettier-ignore
    this.port.post(message)
    return tokens
  }

  /** Endings by token, as reported so far; `first` is the oldest token of a cpu thread. */
  endings(first = 1): Map<number, Ending> {
    const ended = new Map<number, Ending>()
    let next = first
    for (const message of this.messages) {
      if (typeof message === 'number') for (let count = 0; count < message; count++) ended.set(next++, null)
      else if (message.kind === 'ended') {
        message.tokens.forEach((token, index) => ended.set(token, message.endings[index] ?? null))
        next = Math.max(next, ...message.tokens.map((token) => token + 1))
      }
    }
    return ended
  }

  kinds(kind: string): FromThread[] {
    return this.messages.filter((message) => typeof message === 'object' && message.kind === kind)
  }

  until(holds: () => boolean): Promise<void> {
    return this.#rig.until(holds)
  }

  async gone(): Promise<ThreadExit> {
    await this.until(() => this.exit !== undefined)
    return this.exit ?? { exitCode: -1 }
  }
}

export function threadContract(name: string, makeRig: () => ThreadRig): void {
  const started = (lane: Lane): Contact => {
    const rig = makeRig()
    const contact = new Contact(rig)
    contact.port = rig.start(lane, contact)
    if (lane === 'cpu' && contact.port.shared !== undefined)
      contact.claims = new Claims(contact.port.shared, 1)
    return contact
  }
  const open = async (lane: Lane): Promise<Contact> => {
    const contact = started(lane)
    await contact.until(() => contact.messages.length > 0)
    return contact
  }
  const finish = async (contact: Contact): Promise<void> => {
    contact.port.terminate()
    await contact.gone()
  }

  describe.each(['cpu', 'io'] as const)(`${name}: a thread of the lane %s`, (lane) => {
    it('says ready first, with the tasks its modules define', async () => {
      const contact = await open(lane)
      expect(contact.messages).toEqual([
        { kind: 'ready', tasks: expect.arrayContaining([`${lane}-value`]) as string[] },
      ])
      await finish(contact)
    })

    it('says start-failed with the real error when they cannot be imported', async () => {
      const rig = makeRig()
      const contact = new Contact(rig)
      contact.port = rig.startBroken(lane, contact)
      await contact.until(() => contact.messages.length > 0)
      expect(contact.messages).toMatchObject([
        {
          kind: 'start-failed',
          error: { message: expect.stringContaining('this module is broken') as string },
        },
      ])
      await finish(contact)
    })

    it('reports every execution once, with its result or its error', async () => {
      const contact = await open(lane)
      const jobs: [string, unknown?][] = [
        [`${lane}-nothing`],
        [`${lane}-value`, { n: 1 }],
        [`${lane}-throws`],
        [`${lane}-nothing`],
      ]
      const tokens = contact.run(1, ...jobs)
      await contact.until(() => contact.endings().size === 4)
      expect(tokens.map((token) => contact.endings().get(token))).toEqual([
        null,
        '{"n":1}',
        {
          kind: 'threw',
          permanent: false,
          error: expect.objectContaining({ message: 'broken', code: 'E_BROKEN' }) as unknown,
        },
        null,
      ])
      await finish(contact)
    })

    it('tells progress before the end of its execution', async () => {
      const contact = await open(lane)
      contact.run(1, [`${lane}-nothing`], [`${lane}-progress`])
      await contact.until(() => contact.endings().size === 2)
      const said = contact.messages.findIndex(
        (message) => typeof message === 'object' && message.kind === 'progress',
      )
      expect(contact.messages[said]).toEqual({ kind: 'progress', token: 2, value: '0.5' })
      const before = contact.messages.slice(0, said)
      const late = new Contact(makeRig())
      late.messages.push(...before)
      expect(late.endings().has(2)).toBe(false)
      await finish(contact)
    })

    it('hands an abort to the signal of that execution, and shows that its loop answers', async () => {
      const contact = await open(lane)
      contact.run(1, [`${lane}-waits`])
      await contact.until(() => contact.kinds('progress').length === 1)
      contact.port.post({ kind: 'abort', token: 77, code: 'ERR_SIDEWORK_CANCELLED', message: 'not this one' })
      contact.port.post({ kind: 'abort', token: 1, code: 'ERR_SIDEWORK_TIMEOUT', message: 'too long' })
      await contact.until(() => contact.endings().size === 1)
      expect(contact.endings().get(1)).toBe('"ERR_SIDEWORK_TIMEOUT"')
      expect(contact.kinds('aborted')).toEqual([77, 1].map((token) => ({ kind: 'aborted', token })))
      await finish(contact)
    })

    it('is ended by terminate() though its loop does not turn', async () => {
      const contact = await open(lane)
      contact.run(1, [`${lane}-nothing`])
      await contact.until(() => contact.endings().size === 1)
      contact.run(2, [`${lane}-spins`])
      if (contact.claims !== undefined) await contact.until(() => contact.claims?.takenSince(2) === 1)
      contact.port.terminate()
      contact.port.terminate()
      await contact.gone()
      expect(contact.endings().size).toBe(1)
    })

    it('exits with the code of process.exit, after what was finished has arrived', async () => {
      const contact = await open(lane)
      contact.run(
        1,
        [`${lane}-value`, 'a'],
        [`${lane}-nothing`],
        [`${lane}-exits`],
        [`${lane}-value`, 'never'],
      )
      expect(await contact.gone()).toEqual({ exitCode: 7 })
      expect([...contact.endings().entries()]).toEqual([[1, '"a"'], [2, null]]) // prettier-ignore
    })

    it('answers a ping while a handler waits', async () => {
      const contact = await open(lane)
      contact.run(1, [`${lane}-waits`])
      contact.port.post({ kind: 'ping' })
      await contact.until(() => contact.kinds('pong').length === 1)
      await finish(contact)
    })

    it('delivers at drain() what it has posted', async () => {
      const contact = await open(lane)
      contact.run(1, [`${lane}-nothing`])
      let drained = 0
      await contact.until(() => {
        contact.port.drain()
        return ++drained > 0 && contact.endings().size === 1
      })
      await finish(contact)
    })
  })

  describe(`${name}: a thread of the lane io`, () => {
    it('does not begin what was aborted before it came to it', async () => {
      const contact = await open('io')
      contact.run(1, ['io-waits'])
      await contact.until(() => contact.kinds('progress').length === 1)
      contact.run(2, ['io-value', 'first'], ['io-progress'])
      contact.port.post({ kind: 'abort', token: 3, code: 'ERR_SIDEWORK_CANCELLED', message: '' })
      await contact.until(() => contact.endings().size === 2)
      expect(contact.endings().get(3)).toEqual({ kind: 'interrupted' })
      expect(contact.kinds('progress')).toHaveLength(1)
      await finish(contact)
    })
  })

  describe(`${name}: a thread of the lane cpu`, () => {
    it('takes the jobs of a batch in order, and none after a recall', async () => {
      const contact = await open('cpu')
      contact.run(1, ['cpu-nothing'], ['cpu-waits'], ['cpu-value', 'recalled'], ['cpu-value', 'recalled'])
      await contact.until(() => contact.kinds('progress').length === 1)
      expect(contact.claims?.recall(1), 'taken are the finished one and the one that waits').toBe(2)
      contact.run(3, ['cpu-value', 'sent again'])
      contact.port.post({ kind: 'abort', token: 2, code: 'ERR_SIDEWORK_CANCELLED', message: '' })
      await contact.until(() => contact.endings().size === 3)
      expect([...contact.endings().entries()]).toEqual([[1, null], [2, '"ERR_SIDEWORK_CANCELLED"'], [3, '"sent again"']]) // prettier-ignore
      await finish(contact)
    })

    it('runs nothing of a batch that was recalled before it was read', async () => {
      const contact = await open('cpu')
      contact.run(1, ['cpu-waits'])
      await contact.until(() => contact.kinds('progress').length === 1)
      contact.run(2, ['cpu-value', 'recalled'], ['cpu-exits'])
      expect(contact.claims?.recall(1)).toBe(1)
      contact.run(2, ['cpu-value', 'kept'])
      contact.port.post({ kind: 'abort', token: 1, code: 'ERR_SIDEWORK_CANCELLED', message: '' })
      await contact.until(() => contact.endings().size === 2)
      expect(contact.endings().get(2)).toBe('"kept"')
      await finish(contact)
    })

    it('knows a task that a recalled batch introduced', async () => {
      const contact = await open('cpu')
      contact.run(1, ['cpu-waits'])
      await contact.until(() => contact.kinds('progress').length === 1)
      contact.run(2, ['cpu-value', 'recalled'])
      expect(contact.claims?.recall(1)).toBe(1)
      const { generation = 0 } = contact.claims ?? {}
      const extras = [{ at: 0, id: 'id-2', attempt: 1, maxAttempts: 5 }]
      contact.port.post({ kind: 'run', first: 2, generation, task: 0, seqs: [2], cells: [2], payloads: '"kept"', extras }) // prettier-ignore
      contact.port.post({ kind: 'abort', token: 1, code: 'ERR_SIDEWORK_CANCELLED', message: '' })
      await contact.until(() => contact.endings().size === 2)
      expect(contact.endings().get(2)).toBe('"kept"')
      await finish(contact)
    })

    it('says how long its handlers took', async () => {
      const contact = await open('cpu')
      contact.run(1, ['cpu-nothing'])
      await contact.until(() => contact.endings().size === 1)
      expect(contact.claims?.busyMs()).toBeGreaterThanOrEqual(0)
      expect(contact.claims?.busyMs()).toBe(0)
      await finish(contact)
    })
  })
}
