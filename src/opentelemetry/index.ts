/** The public 'sidework/opentelemetry': spans of defers and attempts. */
export { traceJobs } from './trace-jobs.js'
