/** The public 'sidework/testing': the engine of production, in a time that a test decides. */
export { createTestScheduler, type TestScheduler } from './test-scheduler.js'
export type { TestSchedulerOptions } from './test-options.js'
export type { TraceEntry } from './test-record.js'
export { perform, type ContextOverrides } from './perform.js'
