/** Every thread of a scheduler, by lane. */
import type { Job } from '../job/job.js'
import type { Lane } from '../job/snapshot.js'
import type { LaneRoom } from './lane-room.js'
import type { LaneThread, StopReason } from './lane-thread.js'

export class Crew {
  readonly lanes: Readonly<Record<Lane, LaneRoom>>

  constructor(lanes: Readonly<Record<Lane, LaneRoom>>) {
    this.lanes = lanes
  }

  get threads(): LaneThread[] {
    return [...this.lanes.cpu.threads, ...this.lanes.io.threads, ...this.lanes.main.threads]
  }

  /** The thread a job is with: running there, or sent ahead. */
  threadOf(job: Job): LaneThread | undefined {
    if (job.token === 0) return undefined
    return this.lanes[job.task.policy.lane].threads.find(
      (thread) => thread.places.find(job.token)?.job === job,
    )
  }

  /** Stops a thread by force; what ran on it is sorted out when it has exited. */
  terminate(thread: LaneThread, reason: StopReason): void {
    if (thread.phase === 'stopping') return
    thread.phase = 'stopping'
    thread.stopReason = reason
    thread.port.terminate()
  }
}
