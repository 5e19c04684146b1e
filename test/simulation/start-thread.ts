/** The threads of a schedule: their scripts are drawn, and whatever passes them passes the judge. */
import type { ToThread } from '../../src/threads/protocol.js'
import type { Lane } from '../../src/job/snapshot.js'
import type { ThreadListener, ThreadPort } from '../../src/world.js'
import { behaviourOf } from './behave.js'
import { FakeThread } from './fake-thread.js'
import type { Judge } from './judge.js'
import type { ModelThread } from './model-records.js'
import type { Model } from './model.js'
import type { Stage } from './stage.js'

export function startThread(
  stage: Stage,
  lane: Lane,
  listener: ThreadListener,
  model: Model,
  judge: Judge,
): ThreadPort {
  const { starts } = stage.plan
  const isBad = (share: number): boolean =>
    stage.areFaultsOn && lane !== 'main' && share > 0 && stage.draw.chance(share)
  if (isBad(starts.throws)) {
    stage.sometimes.reached('a thread could not be started')
    throw new Error('no thread')
  }
  const fails = isBad(starts.fail)
  const exits = isBad(starts.exit)
  if (exits) stage.sometimes.reached('a thread died while it started')
  const heard: ThreadListener = {
    message: (message) => {
      stage.lastReport = { thread: fake, message }
      judge.hears(thread, message)
      listener.message(message)
    },
    exited: (exit) => {
      judge.exits(thread)
      listener.exited(exit)
    },
  }
  const script = {
    startsInMs: starts.slowMs > 0 ? stage.draw.below(starts.slowMs) : 0,
    ...(starts.exitMs > 0 ? { exitsInMs: stage.draw.below(starts.exitMs) } : undefined),
    ...(fails ? { startFails: { name: 'Error', message: 'no' } } : undefined),
    ...(exits ? { exitsAtStart: 3 } : undefined),
  }
  const fake = new FakeThread(lane, model.threads.length + 1, heard, script, {
    world: stage.world,
    behave: (run) => {
      const job = model.byId.get(run.id)
      const wanted = stage.plans.get((run.payload as { n: number }).n)
      return behaviourOf(
        wanted?.acts[stage.plan.calm ? run.attempt - 1 : (job?.executions ?? 0)],
        stage.areFaultsOn || stage.plan.calm, // there every job ends by what it does, whenever it runs
        () => ++stage.payloads,
        stage.plan,
        lane,
      )
    },
    began: (run) => {
      stage.trace.push(`${stage.world.clock.now()} began ${run.id} ${run.attempt}`)
      judge.began(thread, run)
    },
    ended: (run) => {
      const exec = thread.execs.find((one) => one.token === run.token)
      if (exec !== undefined) exec.isDone = true
    },
    copy: (message) => message,
  })
  const thread: ModelThread = {
    fake,
    isOpen: false,
    isGone: false,
    wasStopped: false,
    isRetired: 'no',
    isKept: false,
    reportedAt: 0,
    execs: [],
    pingedAt: 0,
    mayHaveHung: false,
    wasSpinning: false,
    hadCompany: false,
    untold: [],
  }
  if (stage.doThreadsStay) fake.stay()
  model.threads.push(thread)
  return {
    shared: fake.shared,
    post: (message: ToThread) => {
      if (message.kind === 'run')
        judge.posted(thread, message, (stage.world.timerAt ?? Infinity) > model.now(), stage.world.firingAt)
      if (message.kind === 'deferred' && message.id !== undefined && !model.byId.has(message.id))
        stage.adopt(message.id)
      if (message.kind === 'ping') thread.pingedAt = model.now()
      fake.post(message)
    },
    drain: () => fake.drain(),
    terminate: () => {
      judge.stops(thread)
      thread.wasStopped = true
      thread.wasSpinning = fake.isSpinning
      // While the main thread was blocked, the others stood still here: they could not answer.
      thread.mayHaveHung = fake.isSpinning || thread.pingedAt < model.blockedUntil
      thread.isOpen = false
      fake.terminate()
    },
  }
}
