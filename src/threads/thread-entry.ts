/**
 * Where a thread begins (public as 'sidework/thread', the entry to give to a bundler): imports the task modules, says
 * so, then runs what it is sent. The logic is in thread-side.ts.
 */
import { isMainThread, workerData } from 'node:worker_threads'
import { startThreadSide, type ThreadData } from './thread-side.js'

if (!isMainThread) {
  // Only thread.ts starts this file, with this data; elsewhere it does nothing.
  const data = workerData as { sidework?: ThreadData } | null
  if (data?.sidework !== undefined) void startThreadSide(data.sidework)
}
