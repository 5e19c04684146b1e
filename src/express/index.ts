/** The public 'sidework/express': what an HTTP server needs around a scheduler. */
export {
  sidework,
  type ConnectHandler,
  type Next,
  type RequestDefer,
  type RequestDeferOptions,
  type SideworkOptions,
} from './middleware.js'
export type { DeferMoment } from './held-jobs.js'
export type { Accepted, AcceptedJob, JobFields } from './accepted.js'
export { admit, type AdmitOptions } from './admit.js'
export { idempotent, type IdempotentOptions } from './idempotent.js'
export { jobsRouter, type AuthorizedRequest, type JobsRouterOptions } from './jobs-router.js'
export type { JobStatus } from './job-status.js'
export type { FlowStatus } from './flow-status.js'
export { closeOnSignal, type CloseOnSignalOptions } from './close-on-signal.js'
export type { ClosableServer } from './requests-in-flight.js'
