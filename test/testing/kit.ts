/** A test scheduler that is closed after its test. */
import { onTestFinished } from 'vitest'
import {
  createTestScheduler,
  type TestScheduler,
  type TestSchedulerOptions,
} from '../../src/testing/index.js'

/** When time begins, unless told otherwise. */
export const start = Date.parse('2026-01-01T00:00:00Z')

export function testScheduler(options: TestSchedulerOptions = {}): TestScheduler {
  const scheduler = createTestScheduler({ patience: '200ms', ...options })
  onTestFinished(() => void scheduler.close({ timeout: 0 }).catch(() => undefined)) // strict ones reject
  return scheduler
}
