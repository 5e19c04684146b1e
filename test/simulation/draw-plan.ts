/**
 * Draws the plan of a seed. Swarm testing (Groce et al., 2012): each seed draws which features and faults are on at all,
 * and how often, so that rare combinations are not drowned by a bit of everything.
 */
import type { Lane } from '../../src/job/snapshot.js'
import { Draw, type Act, type JobPlan, type Op, type Plan, type TaskPlan } from './plan.js'

const features = [
  'keys', 'halts', 'delays', 'runAt', 'priorities', 'dedupe', 'expiry', 'concurrency', 'rates', 'shared', 'pauses', 'cancels',
  'retries', 'holds', 'many', 'signals', 'ownIds', 'children', 'results', 'runNow', 'setPriority', 'policies', 'short',
  'fails', 'permanent', 'snoozes', 'crashes', 'memory', 'hangs', 'spins', 'kills', 'forged', 'badStarts', 'slowStarts',
  'slowExits', 'blocks', 'jumps', 'early', 'full', 'close', 'all',
] as const // prettier-ignore
type Feature = (typeof features)[number] | 'spinsOften'
const calmFeatures: readonly Feature[] = [
  'keys', 'priorities', 'concurrency', 'shared', 'many', 'fails', 'permanent', 'crashes', 'delays', 'results', 'short',
] // prettier-ignore

/**
 * Some seeds draw from few features, so that what needs several at once comes often enough: crowds of short jobs that are
 * sent ahead of their turn and called back, lines that halt while their head still runs, and shared threads whose loop stands still.
 */
const rushFeatures: readonly Feature[] = [
  'priorities', 'pauses', 'cancels', 'setPriority', 'retries', 'fails', 'snoozes', 'hangs', 'spins', 'crashes', 'kills', 'close', 'blocks',
] // prettier-ignore
const haltFeatures: readonly Feature[] = ['delays', 'priorities', 'cancels', 'retries', 'fails', 'permanent', 'policies', 'close'] // prettier-ignore

const stuckFeatures: readonly Feature[] = [
  'delays',
  'priorities',
  'cancels',
  'fails',
  'hangs',
  'blocks',
  'close',
]

type Kind = 'any' | 'calm' | 'rush' | 'halt' | 'stuck'

function kindOf(seed: number): Kind {
  if (seed % 50 === 7) return 'calm'
  if (seed % 20 === 3) return 'rush'
  if (seed % 20 === 13) return 'halt'
  return seed % 20 === 17 ? 'stuck' : 'any'
}

function drawFeatures(draw: Draw, kind: Kind): Feature[] {
  const share = draw.of([0.15, 0.3, 0.5])
  const drawn = features.filter(() => draw.chance(share))
  switch (kind) {
    case 'any':
      return drawn
    case 'calm':
      return drawn.filter((one) => calmFeatures.includes(one))
    case 'rush':
      return ['short', 'many', ...drawn.filter((one) => rushFeatures.includes(one))]
    case 'halt':
      return ['keys', 'halts', 'hangs', ...drawn.filter((one) => haltFeatures.includes(one))]
    case 'stuck':
      return ['spins', 'spinsOften', ...drawn.filter((one) => stuckFeatures.includes(one))]
  }
}

/** The plan of a seed. */
export function drawPlan(seed: number): Plan {
  const draw = new Draw(seed)
  const kind = kindOf(seed)
  const on = new Set(drawFeatures(draw, kind))
  const has = (feature: Feature): boolean => on.has(feature)
  const tasks = Array.from({ length: 1 + draw.below(4) }, () => drawTask(draw, has, kind))
  const { below, chance } = { below: (n: number) => draw.below(n), chance: (p: number) => draw.chance(p) }
  const count = 10 + Math.floor(draw.next() ** 2 * 50)
  // An own id could be given again before its first job's events were told.
  const forgetsFailures = has('halts') && !has('ownIds') && seed % 3 === 0
  return {
    seed,
    calm: kind === 'calm',
    threads: {
      cpu: 1 + below(3),
      io: 1 + below(2),
      ioConcurrency: 1 + below(4),
      idleTimeout: 3 + below(80),
      minIdle: below(2),
    },
    mainConcurrency: 1 + below(3),
    aging: chance(0.25) ? false : draw.of([1, 3, 10, 30]),
    maxQueued: has('full') ? 2 + below(6) : 1000,
    keep: { completed: has('full') ? below(3) : 100, failed: forgetsFailures ? 1 : 100 },
    limit: {
      ...(chance(0.7) ? { concurrency: 1 + below(2) } : undefined),
      ...(chance(0.5) ? { rate: { limit: 1 + below(3), per: 5 + below(30) } } : undefined),
    },
    starts: {
      fail: has('badStarts') ? 0.2 : 0,
      exit: has('badStarts') ? 0.1 : 0,
      throws: has('badStarts') ? 0.1 : 0,
      slowMs: has('slowStarts') ? 1 + below(20) : 0,
      exitMs: has('slowExits') ? 1 + below(8) : 0,
      stays: has('slowExits') && seed % 2 === 0,
    },
    early: has('early'),
    tasks,
    ops: drawOps(draw, has, tasks.length, count, kind),
  }
}

const lanesOf: Partial<Record<Kind, readonly Lane[]>> = { calm: ['cpu', 'io'], stuck: ['io'] }

function drawTask(draw: Draw, has: (feature: Feature) => boolean, kind: Kind): TaskPlan {
  const jitter = draw.of([0, 0.1, 0.5])
  return {
    lane: draw.of(lanesOf[kind] ?? (['cpu', 'cpu', 'io', 'main'] as const)),
    attempts: 1 + draw.below(4),
    backoff: draw.chance(0.5)
      ? { type: 'fixed', delay: draw.below(15), jitter }
      : { type: 'exponential', delay: 1 + draw.below(10), factor: 2, max: 12, jitter },
    timeout: kind === 'calm' ? 10_000 : 15 + draw.below(20),
    // The longer outlives the time in which a thread that is asked must answer.
    killAfter: kind === 'stuck' && draw.chance(0.3) ? 55 + draw.below(40) : 1 + draw.below(12),
    onExhausted: has('halts') && draw.chance(0.7) ? 'halt' : 'skip',
    ...(has('concurrency')
      ? { concurrency: { limit: 1 + draw.below(2), keyed: draw.chance(0.5) } }
      : undefined),
    ...(has('rates')
      ? { rate: { limit: 1 + draw.below(3), per: 4 + draw.below(30), keyed: draw.chance(0.5) } }
      : undefined),
    shared: has('shared') && draw.chance(0.7),
    ...(has('expiry') && draw.chance(0.3) ? { expiresIn: 5 + draw.below(40) } : undefined),
  }
}

function drawOps(
  draw: Draw,
  has: (feature: Feature) => boolean,
  tasks: number,
  count: number,
  kind: Kind,
): Op[] {
  const made: number[] = []
  const held: number[] = []
  const job = (): JobPlan => drawJob(draw, has, tasks)
  const of = (): number => (made.length === 0 ? 0 : draw.of(made))
  const task = (): { task?: number } => (draw.chance(0.5) ? { task: draw.below(tasks) } : {})
  const weights: [number, () => Omit<Op, 'n'>][] = [
    [10, () => ({ op: 'defer', job: job() })],
    [has('many') ? 4 : 0, () => ({ op: 'deferMany', jobs: Array.from({ length: 2 + draw.below(8) }, job) })],
    [has('holds') ? 4 : 0, () => ({ op: 'hold', job: job() })],
    [has('holds') ? 3 : 0, () => ({ op: draw.chance(0.8) ? 'release' : 'discard', all: held.splice(0) })],
    [has('cancels') ? 3 : 0, () => ({ op: 'cancel', of: of() })],
    [has('cancels') && has('all') ? 1 : 0, () => ({ op: 'cancelAll', ...task() })],
    [has('retries') ? 4 : 0, () => ({ op: 'retry', of: of() })],
    [has('retries') && has('all') ? 1 : 0, () => ({ op: 'retryAll', ...task() })],
    [has('runNow') ? 3 : 0, () => ({ op: 'runNow', of: of() })],
    [has('setPriority') ? 3 : 0, () => ({ op: 'setPriority', of: of(), priority: draw.below(10) })],
    [has('signals') ? 2 : 0, () => ({ op: 'abort', of: of() })],
    [has('pauses') ? 2 : 0, () => ({ op: 'pause', ...task() })],
    [has('pauses') ? 2 : 0, () => ({ op: 'resume', ...task() })],
    [has('shared') ? 1 : 0, () => ({ op: 'pauseLimit', delay: draw.below(25) })],
    [has('halts') ? 2 : 0, () => ({ op: 'releaseKeys', retry: draw.chance(0.5) })],
    [has('kills') ? 1 : 0, () => ({ op: 'crash', thread: draw.below(4) })],
    [has('forged') ? 2 : 0, () => ({ op: draw.chance(0.5) ? 'forge' : 'repeat', thread: draw.below(4) })],
    [has('blocks') ? 2 : 0, () => ({ op: 'block', ms: draw.chance(0.1) ? 100_000 : draw.below(60) })],
    [has('jumps') ? 1 : 0, () => ({ op: 'jump', ms: draw.below(200_000) - 100_000 })],
    [8, () => ({ op: 'advance', ms: draw.chance(0.5) ? draw.below(3) : draw.below(25) })],
  ]
  const usable = weights.filter(([weight]) => weight > 0)
  const total = usable.reduce((sum, [weight]) => sum + weight, 0)
  const ops: Op[] = []
  const add = (op: Omit<Op, 'n'>): void => void ops.push({ n: ops.length + 1, ...op } as Op)
  for (let n = 1; n <= count; n++) {
    let left = draw.next() * total
    const [, make] = usable.find(([weight]) => (left -= weight) < 0) ?? [
      0,
      () => ({ op: 'advance', ms: 1 }) as Omit<Op, 'n'>,
    ]
    const op = make()
    add(op)
    if (op.op === 'hold') held.push(ops.length)
    if (op.op === 'defer' || op.op === 'hold' || op.op === 'deferMany') made.push(ops.length)
  }
  const closes = has('close') && kind !== 'calm'
  if (closes && kind === 'rush') {
    add({ op: 'deferMany', jobs: Array.from({ length: 8 }, job) } as Omit<Op, 'n'>)
    add({ op: 'advance', ms: draw.below(2) } as Omit<Op, 'n'>)
  }
  if (closes)
    add({
      op: 'close',
      timeout: draw.of([0, 5, 40, 2000]),
      drain: draw.chance(0.7),
      restore: draw.chance(0.7),
    } as Omit<Op, 'n'>)
  return ops
}

function drawJob(draw: Draw, has: (feature: Feature) => boolean, tasks: number): JobPlan {
  const some = (feature: Feature, share = 0.4): boolean => has(feature) && draw.chance(share)
  const mode = draw.of(['first', 'last'] as const)
  return {
    task: draw.below(tasks),
    group: draw.below(2),
    acts: Array.from({ length: 1 + draw.below(3) }, () => drawAct(draw, has, tasks)),
    ...(some('priorities', 0.7) ? { priority: draw.below(10) } : undefined),
    ...(some('delays')
      ? { delay: draw.below(30) }
      : some('runAt')
        ? { runIn: draw.below(40) - 5 }
        : undefined),
    ...(some('keys', 0.6) ? { orderingKey: `k${draw.below(2)}` } : undefined),
    ...(some('dedupe', 0.6)
      ? {
          dedupe: {
            key: `${mode}${draw.below(2)}`,
            mode,
            ...(draw.chance(0.4) ? { ttl: 5 + draw.below(60) } : undefined),
          },
        }
      : undefined),
    ...(some('policies', 0.3) ? { attempts: 1 + draw.below(5) } : undefined),
    ...(some('policies', 0.3)
      ? { backoff: { type: 'fixed', delay: draw.below(20), jitter: 0.2 } as const }
      : undefined),
    ...(some('policies', 0.3) ? { timeout: 5 + draw.below(20) } : undefined),
    ...(some('expiry') ? { expiresIn: 1 + draw.below(40) } : undefined),
    ...(some('signals', 0.5) ? { signal: true } : undefined),
    ...(some('ownIds', 0.5) ? { ownId: `own-${draw.below(8)}` } : undefined),
    ...(some('results', 0.5) ? { awaited: true } : undefined),
  }
}

/** What else an execution may do than return: the feature that allows it, its weight, and how it is drawn. */
type ActMaker = readonly [Feature, number, (draw: Draw, ms: number, tasks: number) => Act]

const actMakers: readonly ActMaker[] = [
  ['fails', 3, (_, ms) => ({ do: 'fail', ms })],
  ['permanent', 1, (_, ms) => ({ do: 'fail-for-good', ms })],
  [
    'snoozes',
    2,
    (draw, ms) =>
      draw.chance(0.5)
        ? { do: 'snooze', ms, delay: draw.below(20) }
        : { do: 'retry-later', ms, delay: draw.below(20) },
  ],
  ['crashes', 1, (draw, ms) => ({ do: 'crash', ms, code: draw.below(3) })],
  ['memory', 1, (_, ms) => ({ do: 'crash', ms, code: 1, memory: true })],
  [
    'hangs',
    2,
    (draw) =>
      ({
        do: 'hang',
        ms: draw.of([30, 60, Infinity]),
        deaf: draw.chance(0.5),
        onAbort: draw.of(['return', 'fail', undefined]),
      }) as Act,
  ],
  ['spins', 1, drawSpin],
  ['spinsOften', 12, drawSpin],
  ['children', 1, (draw, ms, tasks) => ({ do: 'defer', ms, task: draw.below(tasks) })],
  ['results', 2, (_, ms) => ({ do: 'result', ms })],
]

function drawSpin(draw: Draw): Act {
  return { do: 'spin', ms: draw.of([10, 50, Infinity]) }
}

function drawAct(draw: Draw, has: (feature: Feature) => boolean, tasks: number): Act {
  const ms = has('short') || draw.chance(0.4) ? 0 : draw.below(12)
  let sum = 0
  for (const [feature, weight] of actMakers) if (has(feature)) sum += weight
  let left = draw.next() * (6 + sum) - 6
  if (left < 0) return { do: 'return', ms, ...(draw.chance(0.05) ? { says: true } : undefined) }
  for (const [feature, weight, make] of actMakers)
    if (has(feature) && (left -= weight) < 0) return make(draw, ms, tasks)
  return { do: 'return', ms }
}
