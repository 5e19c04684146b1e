/** What the dispatcher works with, and whom it tells what is none of its business. */
import type { Job } from '../job/job.js'
import type { Journal } from '../job/journal.js'
import type { EncodedPayload } from '../job/payload.js'
import type { Lane } from '../job/snapshot.js'
import type { Agenda } from '../queue/agenda.js'
import type { Queue } from '../queue/queue.js'
import type { Settler } from '../settle/settler.js'
import type {
  ConsoleMessage,
  DeferFlowMessage,
  DeferMessage,
  LeakMessage,
  LogMessage,
  WaitsMessage,
} from '../threads/protocol.js'
import type { ThreadExit, World } from '../world.js'
import type { LaneThread, StopReason } from './lane-thread.js'

/** What threads say that is none of the dispatcher's business. */
export interface DispatchListener {
  progress(job: Job, value: EncodedPayload): void
  log(job: Job, message: LogMessage): void
  defer(job: Job, message: DeferMessage | DeferFlowMessage, thread: LaneThread): void
  pauseLimit(job: Job, name: string, delayMs: number): void
  threadStarted(thread: LaneThread): void
  /** By force: what was on it does not go on, and will be sorted out when it has exited. */
  threadStopped(): void
  threadExited(thread: LaneThread, reason: StopReason | 'crashed', exit: ThreadExit): void
  /** Something was printed, by this job if it is known. */
  printed(thread: LaneThread, job: Job | undefined, message: ConsoleMessage): void
  /** A task leaves too much open: its thread is replaced. */
  leaked(thread: LaneThread, message: LeakMessage): void
  /** A task of lane cpu mostly waits. */
  waits(message: WaitsMessage): void
  /** The process holds more memory than it may. */
  memoryExceeded(rssBytes: number, maxRssBytes: number, thread: LaneThread | undefined): void
  startFailed(lane: Lane, error: unknown): void
}

/** The rooms and ports a dispatcher works with. */
export interface DispatchRooms {
  readonly world: World
  /** Above this the thread that holds most is replaced. */
  readonly maxRssBytes: number
  readonly agenda: Agenda
  readonly queue: Queue
  readonly journal: Journal
  readonly settler: Settler
  readonly listener: DispatchListener
}
