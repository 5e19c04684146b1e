/** What one seed of the simulation of flows stands for: flows, and what users, time and bad luck do to them. */
import type { OnFailure } from '../../src/index.js'
import { Draw } from './plan.js'

/** What one execution of a step does. */
export type StepAct = 'return' | 'fail' | 'fail-for-good' | 'crash' | 'hang' | 'snooze'

export interface StepPlan {
  /** Positions of earlier steps. */
  readonly after: readonly number[]
  /** One for each execution; then it returns. */
  readonly acts: readonly StepAct[]
  readonly delay?: number
  readonly orderingKey?: string
}

export interface FlowPlanOfSeed {
  readonly kind: 'flow' | 'chain' | 'batch'
  readonly steps: readonly StepPlan[]
  readonly callback: StepPlan | undefined
  readonly onFailure: OnFailure
  readonly deadline: number | undefined
  readonly isHeld: boolean
}

export type FlowOp =
  | { readonly op: 'defer'; readonly flow: FlowPlanOfSeed }
  | { readonly op: 'release' | 'discard' | 'cancel-flow'; readonly flow: number }
  | { readonly op: 'cancel' | 'retry' | 'runNow'; readonly flow: number; readonly step: number }
  | { readonly op: 'cancelAll' | 'retryAll' | 'pause' | 'resume' | 'crash' }
  | { readonly op: 'advance' | 'block'; readonly ms: number }
  /** Of the lost jobs one in four is not restored, counted from `forgets`; none is forgotten when it is 0. */
  | { readonly op: 'close'; readonly timeout: number; readonly drain: boolean; readonly forgets: number }

export interface FlowSeed {
  readonly seed: number
  readonly threads: number
  readonly attempts: number
  readonly maxQueued: number
  readonly ops: readonly FlowOp[]
  /** Nothing is cancelled from outside, and nothing is too late. */
  readonly isUndisturbed: boolean
}

export function drawFlowSeed(seed: number): FlowSeed {
  const draw = new Draw(seed ^ 0xf10e5)
  const isUndisturbed = draw.chance(0.3)
  const isBad = draw.chance(0.7)
  const ops: FlowOp[] = []
  let flows = 0
  const flow = (): number => draw.below(Math.max(1, flows))
  const step = (): number => draw.below(8)
  const count = 6 + draw.below(24)
  for (let n = 0; n < count; n++) {
    const choice = draw.below(isUndisturbed ? 13 : 20)
    if (n === 0 || choice < 4) {
      ops.push({ op: 'defer', flow: drawFlow(draw, isBad, isUndisturbed) })
      flows++
    } else if (choice < 8) ops.push({ op: 'advance', ms: draw.chance(0.5) ? draw.below(3) : draw.below(30) })
    else if (choice === 8) ops.push({ op: 'release', flow: flow() })
    else if (choice === 9) ops.push({ op: 'block', ms: draw.below(40) })
    else if (choice === 10) ops.push({ op: 'crash' })
    else if (choice === 11) ops.push({ op: draw.chance(0.5) ? 'pause' : 'resume' })
    else if (choice === 12)
      ops.push({ op: draw.chance(0.9) ? 'retry' : 'runNow', flow: flow(), step: step() })
    else if (choice < 16) ops.push({ op: 'retry', flow: flow(), step: step() })
    else if (choice < 18) ops.push({ op: 'cancel', flow: flow(), step: step() })
    else if (choice === 18) ops.push({ op: draw.of(['cancel-flow', 'discard'] as const), flow: flow() })
    else ops.push({ op: draw.of(['cancelAll', 'retryAll', 'retryAll'] as const) })
  }
  if (draw.chance(0.35)) {
    const at = draw.below(ops.length) + 1
    const forgets = draw.chance(0.3) ? 1 + draw.below(4) : 0
    ops.splice(at, 0, { op: 'close', timeout: draw.of([0, 5, 1000]), drain: draw.chance(0.7), forgets })
  }
  const maxQueued = draw.chance(0.1) ? 6 : 10_000 // a long chain has room
  return { seed, threads: 1 + draw.below(3), attempts: 1 + draw.below(3), maxQueued, ops, isUndisturbed }
}

function drawFlow(draw: Draw, isBad: boolean, isUndisturbed: boolean): FlowPlanOfSeed {
  if (!isUndisturbed && draw.chance(0.003)) return longChain(draw)
  const kind = draw.of(['flow', 'flow', 'chain', 'batch'] as const)
  const size = kind === 'batch' ? draw.below(6) : 1 + draw.below(8)
  const steps = Array.from({ length: size }, (_, at): StepPlan => {
    const after =
      kind === 'batch' || at === 0
        ? []
        : kind === 'chain'
          ? [at - 1]
          : Array.from({ length: at }, (__, before) => before).filter(() => draw.chance(0.4))
    return drawStep(draw, isBad, after)
  })
  return {
    kind,
    steps,
    callback: kind === 'batch' && draw.chance(0.85) ? drawStep(draw, isBad, []) : undefined,
    onFailure: draw.of(['cancel', 'continue']),
    deadline: !isUndisturbed && draw.chance(0.15) ? 1 + draw.below(80) : undefined,
    isHeld: draw.chance(0.15),
  }
}

/** Longer than what is ended in one turn when its deadline passes. */
function longChain(draw: Draw): FlowPlanOfSeed {
  const steps = Array.from({ length: 1_100 }, (_, at): StepPlan => ({
    after: at === 0 ? [] : [at - 1],
    acts: [],
  }))
  const deadline = 1 + draw.below(10)
  return { kind: 'chain', steps, callback: undefined, onFailure: 'continue', deadline, isHeld: false }
}

function drawStep(draw: Draw, isBad: boolean, after: readonly number[]): StepPlan {
  const acts = ['return', 'return', 'fail', 'fail', 'fail-for-good', 'crash', 'hang', 'snooze'] as const
  return {
    after,
    acts: isBad ? Array.from({ length: draw.below(4) }, () => draw.of(acts)) : [],
    ...(draw.chance(0.2) ? { delay: draw.below(20) } : undefined),
    ...(draw.chance(0.2) ? { orderingKey: `k${draw.below(2)}` } : undefined),
  }
}
