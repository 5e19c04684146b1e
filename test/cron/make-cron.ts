/** A cron in a virtual world: what its schedules did, with the instants as UTC text. */
import { createCron, type Cron, type CronOptions } from '../../src/cron/index.js'
import type { SchedulerEvents } from '../../src/events/event-types.js'
import type { ScheduleContext } from '../../src/job/snapshot.js'
import { makeSim, type Sim, type SimOptions } from '../simulation/sim.js'

export interface CronSim {
  readonly sim: Sim
  readonly cron: Cron
  readonly fired: SchedulerEvents['schedule:fired'][]
  readonly missed: SchedulerEvents['schedule:missed'][]
  readonly skipped: SchedulerEvents['schedule:skipped'][]
  /** What `firedFor` was, as 'hh:mm:ss' in UTC. */
  times(): string[]
}

/** 2026-01-01 00:00:00 UTC unless told otherwise. */
export function makeCron(options: SimOptions & { cron?: CronOptions } = {}): CronSim {
  const sim = makeSim(options)
  const cron = createCron(sim.scheduler, options.cron)
  const made: CronSim = {
    sim,
    cron,
    fired: [],
    missed: [],
    skipped: [],
    times: () => made.fired.map(({ firedFor }) => timeOf(firedFor)),
  }
  sim.scheduler.on('schedule:fired', (event) => void made.fired.push(event))
  sim.scheduler.on('schedule:missed', (event) => void made.missed.push(event))
  sim.scheduler.on('schedule:skipped', (event) => void made.skipped.push(event))
  return made
}

/** 'hh:mm:ss' in UTC of ms since the epoch. */
export function timeOf(instant: number): string {
  return new Date(instant).toISOString().slice(11, 19)
}

/** What the handlers saw as `context.schedule`, by the job's id. */
export function contextOf({ sim }: CronSim, id: string): ScheduleContext | undefined {
  return sim.scheduler.job(id)?.schedule
}
