/** A plan and what came of it, for people. */
import type { JobPlan, Op, Plan } from './plan.js'
import type { Played } from './play.js'

export function scenarioOf(plan: Plan, played: Played): string {
  const { tasks, ops, ...world } = plan
  const lines = [
    `world ${show(world)}`,
    ...tasks.map((task, index) => `task t${index} ${show(task)}`),
    ...ops.map((op) => `  ${String(op.n).padStart(3)}. ${sentenceOf(op)}`),
    'what was told:',
    ...played.trace.map((line) => `  ${line}`),
  ]
  if (played.broken !== undefined) lines.push(`broken: ${played.broken.invariant}: ${played.broken.what}`)
  return lines.join('\n')
}

function sentenceOf(op: Op): string {
  const { op: name } = op
  const rest: object = { ...op, n: undefined, op: undefined }
  if (op.op === 'defer' || op.op === 'hold') return `${name} ${jobOf(op.job)}`
  if (op.op === 'deferMany') return `${name}\n${op.jobs.map((job) => `         ${jobOf(job)}`).join('\n')}`
  return `${name} ${show(rest)}`
}

function jobOf({ task, acts, ...rest }: JobPlan): string {
  return `t${task} ${show(rest)} which does ${acts.map((act) => show(act)).join(', then ')}`
}

function show(value: object): string {
  return JSON.stringify(value).replaceAll('"', '').replaceAll(',', ', ').replaceAll(':', ': ')
}
