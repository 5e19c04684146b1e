/** Plays many seeds and stops at the first that breaks an invariant, which it then shrinks. */
import { drawPlan } from './draw-plan.js'
import type { Plan } from './plan.js'
import { Play, type Played } from './play.js'
import { scenarioOf } from './scenario.js'
import { Sometimes } from './sometimes.js'

export async function playPlan(plan: Plan, sometimes: Sometimes): Promise<Played> {
  return new Play(plan, sometimes).play()
}

/** The seed's schedule with whatever it is compared with: the same once more (I27), or with one more crash (I26). */
export async function playSeed(seed: number, sometimes: Sometimes): Promise<Played> {
  const plan = drawPlan(seed)
  const played = await playPlan(plan, sometimes)
  if (played.broken === undefined && seed % 100 === 1) {
    const again = await playPlan(plan, sometimes)
    if (again.trace.join('\n') !== played.trace.join('\n'))
      played.broken = { invariant: 'I27', what: 'the same seed gave another trace' }
  }
  if (played.broken === undefined && plan.calm) played.broken = await withOneMoreCrash(plan, played)
  return played
}

async function withOneMoreCrash(plan: Plan, played: Played): Promise<Played['broken']> {
  const acts = Array.from({ length: 5 }, () => ({ do: 'crash', ms: 2, code: 1 }) as const)
  const crashing = { n: plan.ops.length + 1, op: 'defer', job: { task: 0, group: 0, acts } } as const
  const more = await playPlan({ ...plan, ops: [...plan.ops, crashing] }, new Sometimes())
  if (more.broken !== undefined) return more.broken
  const changed = Object.entries(played.ends).find(([job, end]) => more.ends[job] !== end)
  if (changed === undefined) return undefined
  return {
    invariant: 'I26',
    what: `job ${changed[0]} ended ${changed[1]}, with one more crashing job ${more.ends[changed[0]]}`,
  }
}

export async function playSeeds(
  from: number,
  count: number,
  sometimes: Sometimes,
): Promise<{ played: number; failure: string | undefined; seed?: number; invariant?: string }> {
  for (let seed = from; seed < from + count; seed++) {
    const { broken } = await withoutStacks(() => playSeed(seed, sometimes))
    if (broken === undefined) continue
    const first = `seed ${seed} breaks ${broken.invariant}: ${broken.what}`
    const failure = process.env['SIM_BRIEF'] === '1' ? first : `${first}\n${await shrunk(drawPlan(seed))}`
    return { played: seed - from + 1, failure, seed, invariant: broken.invariant }
  }
  return { played: count, failure: undefined }
}

/** Nobody reads the stacks of a schedule that keeps its promises, and they cost a tenth of it. A failing one is played again. */
async function withoutStacks<T>(play: () => Promise<T>): Promise<T> {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  try {
    return await play()
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}

/** Drops operations, then jobs' wishes, as long as something is still broken. */
export async function shrink(plan: Plan): Promise<{ plan: Plan; played: Played }> {
  let best = plan
  let played = await playPlan(plan, new Sometimes())
  if (played.broken === undefined) return { plan, played }
  const invariant = played.broken.invariant
  for (let size = Math.ceil(best.ops.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < best.ops.length;) {
      const smaller = { ...best, ops: [...best.ops.slice(0, at), ...best.ops.slice(at + size)] }
      const tried = await playPlan(smaller, new Sometimes())
      if (tried.broken?.invariant === invariant) [best, played] = [smaller, tried]
      else at += size
    }
  }
  return { plan: best, played }
}

async function shrunk(plan: Plan): Promise<string> {
  const { plan: small, played } = await shrink(plan)
  return scenarioOf(small, played)
}

/** Plays one seed and prints it. @returns whether every invariant held */
export async function replay(seed: number): Promise<boolean> {
  const played = await playSeed(seed, new Sometimes())
  console.log(scenarioOf(drawPlan(seed), played))
  if (played.broken !== undefined) console.log(`\nShrunk:\n${await shrunk(drawPlan(seed))}`)
  return played.broken === undefined
}
