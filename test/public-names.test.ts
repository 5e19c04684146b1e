import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { describe, expect, it } from 'vitest'
import packageJson from '../package.json' with { type: 'json' }

/** The values, not the types, that each subpath exports. */
const names: Record<string, readonly string[]> = {
  sidework: [
    'ClosedError',
    'JobError',
    'OptionError',
    'PayloadError',
    'PayloadTooLargeError',
    'PermanentError',
    'QueueFullError',
    'ResultError',
    'ResultTimeoutError',
    'RetryLater',
    'SideworkError',
    'Snooze',
    'ThreadStartError',
    'UnknownTaskError',
    'createScheduler',
    'defineTask',
    'formatStats',
    'isSettled',
  ],
  'sidework/express': ['admit', 'closeOnSignal', 'idempotent', 'jobsRouter', 'sidework'],
  'sidework/client': ['followJob'],
  'sidework/testing': ['createTestScheduler', 'perform'],
  'sidework/testing/matchers': ['matchers'],
  'sidework/metrics': ['metrics'],
  'sidework/opentelemetry': ['traceJobs'],
  'sidework/cron': ['createCron'],
  'sidework/thread': [],
}

/** The types that each exports besides. */
const types: Record<string, readonly string[]> = {
  sidework: [
    'AnyTask',
    'AttemptError',
    'AttemptTrace',
    'Backoff',
    'Batch',
    'BatchCounts',
    'BatchOptions',
    'CallbackSpec',
    'ChainStepSpec',
    'ChildOptions',
    'CloseReport',
    'DedupeOptions',
    'DeferChild',
    'DeferItem',
    'DeferOptions',
    'DeferTrace',
    'DeferredChild',
    'DeferredFlow',
    'Duration',
    'EventName',
    'Flow',
    'FlowEvent',
    'FlowKind',
    'FlowOptions',
    'FlowOverview',
    'FlowPlace',
    'FlowProgress',
    'FlowRemains',
    'FlowSnapshot',
    'FlowState',
    'FlowStepSpec',
    'Handler',
    'InlineHandler',
    'Job',
    'JobErrorCode',
    'JobEvent',
    'JobFilter',
    'JobRemains',
    'JobSnapshot',
    'JobState',
    'Lane',
    'LaneStats',
    'LogLevel',
    'LogMethod',
    'OnFailure',
    'PayloadIssue',
    'Priority',
    'Progress',
    'RemainingEnd',
    'RequestContext',
    'ScheduleContext',
    'Scheduler',
    'SchedulerEvents',
    'SchedulerOptions',
    'SerializedError',
    'SettledState',
    'SideworkErrorCode',
    'StateCounts',
    'Stats',
    'StepOptions',
    'StepResult',
    'StepResults',
    'StepSnapshot',
    'Task',
    'TaskContext',
    'TaskLog',
    'TaskOptions',
    'TaskOptionsWithInput',
    'ThreadExitReason',
    'ThreadOptions',
    'UnsettledState',
  ],
  'sidework/express': [
    'Accepted',
    'AcceptedJob',
    'AdmitOptions',
    'AuthorizedRequest',
    'ClosableServer',
    'CloseOnSignalOptions',
    'ConnectHandler',
    'DeferMoment',
    'FlowStatus',
    'IdempotentOptions',
    'JobFields',
    'JobStatus',
    'JobsRouterOptions',
    'Next',
    'RequestDefer',
    'RequestDeferOptions',
    'SideworkOptions',
  ],
  'sidework/client': ['FinalStatus', 'FlowStatus', 'FollowOptions', 'GoneStatus', 'JobStatus', 'Status'],
  'sidework/testing': ['ContextOverrides', 'TestScheduler', 'TestSchedulerOptions', 'TraceEntry'],
  'sidework/testing/matchers': [
    'ErrorPattern',
    'ExpectedDefer',
    'ExpectedEnd',
    'ExpectedRetries',
    'SideworkMatchers',
  ],
  'sidework/metrics': ['MetricsHandler', 'MetricsOptions'],
  'sidework/opentelemetry': [],
  'sidework/cron': [
    'CatchUp',
    'Cron',
    'CronOptions',
    'DayMatch',
    'EveryOptions',
    'LeaderHook',
    'Overlap',
    'RecurringDeferOptions',
    'ScheduleOptions',
    'ScheduleSnapshot',
  ],
  'sidework/thread': [],
}

/** The names that each subpath's declarations export, values and types. */
function declaredNames(): Record<string, string[]> {
  const files = Object.entries(packageJson.exports).flatMap(([path, entry]) =>
    typeof entry === 'string'
      ? []
      : [[path, fileURLToPath(new URL(`../${entry.types}`, import.meta.url))] as const],
  )
  const options = { module: ts.ModuleKind.NodeNext, noLib: true, noResolve: true, types: [] }
  const program = ts.createProgram(
    files.map(([, file]) => file),
    options,
  )
  const checker = program.getTypeChecker()
  const exported = files.map(([path, file]): [string, string[]] => {
    const source = program.getSourceFile(file)
    const module = source && checker.getSymbolAtLocation(source)
    const symbols = module === undefined ? [] : checker.getExportsOfModule(module)
    return [path.replace(/^\./, 'sidework'), symbols.map(({ name }) => name)]
  })
  return Object.fromEntries(exported)
}

describe('the built package exports', () => {
  it('these subpaths and no other', () => {
    const subpaths = Object.keys(packageJson.exports).map((path) => path.replace(/^\./, 'sidework'))
    expect(subpaths).toEqual([...Object.keys(names), 'sidework/package.json'])
  })

  it.each(Object.entries(names))('from %s exactly its public names', async (subpath, expected) => {
    // Resolved by Node, through the package's own exports, as a user would get it.
    const url = import.meta.resolve(subpath)
    expect(url).toMatch(/\/dist\//)
    const exported: object = await import(/* @vite-ignore */ url)
    expect(Object.keys(exported).sort()).toEqual(expected)
  })

  it('beside them exactly its public types', () => {
    const declared = declaredNames()
    const others = Object.entries(declared).map(([subpath, all]): [string, string[]] => [
      subpath,
      all.filter((name) => names[subpath]?.includes(name) !== true).sort(),
    ])
    expect(Object.fromEntries(others)).toEqual(types)
  })

  it('the same from sidework in a thread', async () => {
    const url = new URL(`../${packageJson.exports['.']['sidework-thread']}`, import.meta.url).href
    const inThreads = (await import(/* @vite-ignore */ url)) as Record<string, unknown>
    const outside = (await import(/* @vite-ignore */ import.meta.resolve('sidework'))) as Record<
      string,
      unknown
    >
    expect(Object.keys(inThreads)).toEqual(Object.keys(outside))
    const others = Object.keys(outside).filter((name) => inThreads[name] !== outside[name])
    expect(others).toEqual(['createScheduler'])
  })
})
