/** The tables of src/reference.md list exactly what the code knows, with the code's own defaults. */
import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createCron } from '../src/cron/index.js'
import { eventNames } from '../src/events/event-types.js'
import { createScheduler, defineTask } from '../src/index.js'
import { transitions } from '../src/job/lifecycle.js'
import { readSettings } from '../src/read-settings.js'
import { readTaskPolicy } from '../src/task/task-policy.js'
import { knownOptions } from './fixtures/known-options.js'
import { packageRoot } from './fixtures/loader/project.js'
import { quoted, tableRows } from './fixtures/markdown.js'

const source = (file: string): string => readFileSync(join(packageRoot, 'src', file), 'utf8')
const reference = source('reference.md')
const sources = readdirSync(join(packageRoot, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => ({ file: file.replaceAll('\\', '/'), text: source(file) }))

/** What stands in the first column, without its backticks. */
function names(heading: string): string[] {
  return tableRows(reference, heading).map((row) => quoted(row[0]) ?? row[0] ?? '')
}

/** Every name in backticks in the first column: `close({ … })` is 'close', `error?` is 'error?'. */
function members(heading: string, text = reference): string[] {
  return tableRows(text, heading).flatMap(([first = '']) =>
    [...first.matchAll(/`(\w+\??)/g)].map(([, name]) => name ?? ''),
  )
}

/** The members that an interface declares, each once. */
function declaredIn(file: string, name: string, pattern: RegExp, least = 6): string[] {
  const [, body = ''] =
    new RegExp(`export interface ${name}\\b[^\\n]* \\{\\n([^]*?)\\n\\}`).exec(source(file)) ?? []
  const found = [...body.matchAll(pattern)].map(([, member]) => member ?? '')
  expect(found.length, name).toBeGreaterThanOrEqual(least)
  return [...new Set(found)]
}

/** The options of a table whose default is code, as that code's value; 'threads.cpu' inside of `threads`. */
function tableDefaults(heading: string): Record<string, unknown> {
  const defaults: Record<string, unknown> = {}
  for (const [name = '', value = ''] of tableRows(reference, heading)) {
    const code = /^`(.*)`$/.exec(value)?.[1]
    if (code === undefined) continue
    // The table is a file of this repository, and its defaults are written as JavaScript.
    // eslint-disable-next-line @typescript-eslint/no-implied-eval, no-new-func
    const evaluated: unknown = new Function('availableParallelism', `return (${code})`)(availableParallelism)
    const [outer = '', inner] = (quoted(name) ?? '').split('.')
    if (inner === undefined) defaults[outer] = evaluated
    else defaults[outer] = { ...(defaults[outer] as object | undefined), [inner]: evaluated }
  }
  return defaults
}

describe('the table of task options', () => {
  it('lists the options that tasks have', () => {
    const known = knownOptions(() => defineTask('docs.unknown', () => undefined, { unknown: 1 } as object))
    expect(names('task option').sort()).toEqual(known.sort())
  })

  it('gives the defaults that tasks have', () => {
    const defaults = tableDefaults('task option')
    expect(Object.keys(defaults)).toHaveLength(8)
    expect(readTaskPolicy('t', defaults, {})).toEqual(readTaskPolicy('t', {}, {}))
  })
})

it('the table of backoff options lists what a backoff has', () => {
  const backoff = { type: 'exponential', unknown: 1 } as object
  const known = knownOptions(() => defineTask('docs.backoff', () => undefined, { backoff } as object))
  expect(['type', ...members('backoff option')].sort()).toEqual(known.sort())
})

it('the table of the context lists what a handler gets', () => {
  const context = declaredIn('task/context.ts', 'TaskContext', /^ {2}(?:readonly )?(\w+)[(:<]/gm)
  expect(members('context').sort()).toEqual(context.sort())
})

it('the table of a job lists its members', () => {
  const job = declaredIn('defer/job-handle.ts', 'Job', /^ {2}(?:readonly )?(\w+)[(:]/gm)
  expect(members('member of a job').sort()).toEqual(job.sort())
})

it('the table of a snapshot lists its fields', () => {
  const snapshot = declaredIn('job/snapshot.ts', 'JobSnapshot', /^ {2}readonly (\w+\??):/gm)
  expect(members('field of a snapshot').sort()).toEqual(snapshot.sort())
})

it('the table of states lists those that a job can have', () => {
  expect(members('state').sort()).toEqual(Object.keys(transitions).sort())
})

it('the table of the scheduler lists its public methods', () => {
  const methods = source('scheduler.ts')
    .split('\n\n')
    .filter((block) => /^ {2}\/\*\*/.test(block) && !block.includes('@internal'))
    .flatMap((block) => /^ {2}(?:async )?(\w+)[<(]/m.exec(block)?.[1] ?? [])
  expect(methods.length).toBeGreaterThan(20)
  expect([...new Set(members('method'))].sort()).toEqual(methods.sort())
})

it('the table of stats lists its figures', () => {
  expect(members('field').sort()).toEqual(Object.keys(createScheduler({ logger: false }).stats()).sort())
})

it('the table of schedule options lists what a schedule has', () => {
  const cron = createCron(createScheduler({ logger: false }))
  const unknown = { unknown: 1 } as object
  const known = knownOptions(() => cron.schedule('docs', '* * * * *', () => undefined, unknown))
  expect(members('schedule option', source('cron/README.md')).sort()).toEqual(known.sort())
})

it('the table of a schedule lists its fields', () => {
  const [, body = ''] =
    /export type ScheduleSnapshot = [^]*?\{\n([^]*?)\n\}/.exec(source('cron/schedule-snapshot.ts')) ?? []
  const own = [...body.matchAll(/^ {2}readonly (\w+\??):/gm)].map(([, field]) => field ?? '')
  expect(own.length).toBeGreaterThan(5)
  const howItWasSaid = ['expression', 'timezone', 'intervalMs']
  expect(members('field of a schedule', source('cron/README.md')).sort()).toEqual(
    [...howItWasSaid, ...own].sort(),
  )
  const cron = createCron(createScheduler({ logger: false }))
  cron.schedule('expression', '* * * * *', () => undefined)
  cron.every('interval', '1m', () => undefined)
  const shown = new Set(cron.list().flatMap((schedule) => Object.keys(schedule)))
  expect(howItWasSaid.filter((field) => !shown.has(field))).toEqual([])
  for (const { name } of cron.list()) cron.remove(name)
})

it('the table of a flow lists its members', () => {
  const flow = declaredIn('flows/flow-handle.ts', 'Flow', /^ {2}(?:readonly )?(\w+)[(:]/gm)
  const batch = declaredIn('flows/flow-handle.ts', 'Batch', /^ {2}(?:readonly )?(\w+)[(:]/gm, 3)
  expect(members('member of a flow', source('flows.md')).sort()).toEqual(
    [...new Set([...flow, ...batch])].sort(),
  )
})

describe('the table of defer options', () => {
  it('lists the options that a defer has', () => {
    const scheduler = createScheduler({ logger: false })
    const known = knownOptions(() => scheduler.defer(() => undefined, { unknown: 1 } as object))
    expect(names('defer option').sort()).toEqual(known.sort())
  })
})

describe('the table of scheduler options', () => {
  it('lists the options that a scheduler has', () => {
    const inner = (['threads', 'main', 'keep'] as const).flatMap((name) =>
      knownOptions(() => readSettings({ [name]: { unknown: 1 } })).map((option) => `${name}.${option}`),
    )
    const known = [...knownOptions(() => readSettings({ unknown: 1 })), ...inner]
    expect(names('scheduler option').sort()).toEqual(known.sort())
  })

  it('gives the defaults that a scheduler has', () => {
    const settings = (options: object): object => ({ ...readSettings(options), logger: undefined })
    const defaults = tableDefaults('scheduler option')
    expect(Object.keys(defaults)).toHaveLength(7)
    expect(settings(defaults)).toEqual(settings({}))
  })
})

describe('the table of events', () => {
  it('lists the events that a scheduler has', () => {
    expect(names('event').sort()).toEqual([...eventNames].sort())
  })

  it('lists the fields of each', () => {
    const declared = source('events/event-types.ts')
    const jobFields = fieldsOf(/export interface JobEvent \{([^}]*)\}/.exec(declared)?.[1] ?? '')
    expect(jobFields).toEqual(['id', 'task', 'attempt', 'at'])
    const flowFields = fieldsOf(/export interface FlowEvent \{([^}]*)\}/.exec(declared)?.[1] ?? '')
    expect(flowFields).toEqual(['id', 'kind', 'total', 'completed', 'failed', 'at'])
    for (const [name, fields] of tableRows(reference, 'event')) {
      const event = (quoted(name) ?? '').replaceAll(':', '\\:')
      const [, type = ''] =
        new RegExp(`^  '?${event}'?: ([^{;\\n]*(?:\\{[^}]*\\})?)`, 'm').exec(declared) ?? []
      const own = fieldsOf(/\{([^}]*)\}/.exec(type)?.[1] ?? '')
      const of = type.startsWith('JobEvent') ? jobFields : type.startsWith('FlowEvent') ? flowFields : []
      const expected = [...of, ...own]
      expect((quoted(fields) ?? '').split(', ').sort(), name).toEqual(expected.sort())
    }
  })
})

it('the table of events says why a thread may be gone', () => {
  const [, union = ''] =
    /export type ThreadExitReason =\n([^]*?)\n\n/.exec(source('events/event-types.ts')) ?? []
  const reasons = [...union.matchAll(/'([\w-]+)'/g)].map(([, reason]) => `\`${reason}\``)
  expect(reasons).toHaveLength(9)
  const row = tableRows(reference, 'event').find(([name]) => quoted(name) === 'thread:exited')
  expect(reasons.filter((reason) => row?.[2]?.includes(reason) !== true)).toEqual([])
})

function fieldsOf(type: string): string[] {
  return [...type.matchAll(/readonly (\w+\??):/g)].map(([, field]) => field ?? '')
}

const errorsSource = source('errors.ts')
const codes = [
  ...(/export type SideworkErrorCode = ([^;]*?)\}`/.exec(errorsSource)?.[1] ?? '').matchAll(/'(\w+)'/g),
].map(([, code]) => `ERR_SIDEWORK_${code}`)

describe('the table of errors', () => {
  it('lists every code there is', () => {
    expect(codes.length).toBeGreaterThan(20)
    expect(names('code').sort()).toEqual([...codes].sort())
  })

  it('says what each means and what to do', () => {
    for (const row of tableRows(reference, 'code')) {
      expect(
        row.every((cell) => cell !== ''),
        row[0],
      ).toBe(true)
      expect(row).toHaveLength(3)
    }
  })

  it('names the status of those that answer a request', () => {
    for (const [, name, status, body = ''] of errorsSource.matchAll(
      /class (\w+) extends[^]*?status = (\d+)([^]*?\n\})/g,
    )) {
      const code = /super\('(\w+)'/.exec(body)?.[1]
      const row = tableRows(reference, 'code').find(([first]) => quoted(first) === code)
      expect(row?.[1], name).toContain(`status ${status}`)
    }
  })

  it.each(codes)('has no code that nothing produces: %s', (code) => {
    const own = /class (\w+) extends SideworkError \{(?:(?!\nclass)[^])*?super\(\s*'CODE'/
    const classOf = ({ text }: { text: string }): string | undefined =>
      new RegExp(own.source.replace('CODE', code)).exec(text)?.[1]
    const constructed = sources.map(classOf).find((name) => name !== undefined)
    const produced = sources.some(({ file, text }) =>
      text
        .split('\n')
        .filter((line) => !/^\s*(\/\/|\/?\*)|===|^\s*\| '|super\(/.test(line) && file !== 'errors.ts')
        .some((line) => line.includes(`'${code}'`)),
    )
    // Made here, or by handlers.
    const isForHandlers =
      constructed !== undefined && source('task/control.ts').includes(`export class ${constructed} `)
    const isMade =
      constructed !== undefined && sources.some(({ text }) => text.includes(`new ${constructed}(`))
    expect(produced || isForHandlers || isMade).toBe(true)
  })
})

it('the figure on the first screen is one that speed.md has', () => {
  const readme = readFileSync(join(packageRoot, 'README.md'), 'utf8')
  const [, figure = ''] = /takes (\S+ µs) \(median, \[measured\]\(src\/speed\.md\)\)/.exec(readme) ?? []
  const rows = tableRows(source('speed.md'), '`npm run bench --`')
  expect(rows.find(([, what]) => what === '`req.defer`, the call, p50')?.[2]).toBe(figure)
})

it('the documents and the lock file ask for the versions of Node that package.json does', () => {
  const textOf = (file: string): string => readFileSync(join(packageRoot, file), 'utf8')
  const { engines } = JSON.parse(textOf('package.json')) as { engines: { node: string } }
  const lock = JSON.parse(textOf('package-lock.json')) as { packages: Record<string, { engines?: object }> }
  expect(lock.packages['']?.engines).toEqual(engines)
  const least = [...engines.node.matchAll(/\d+\.\d+/g)].map(([version]) => version)
  expect(least).toEqual(['20.19', '22.12'])
  for (const document of ['README.md', 'src/typescript.md']) {
    expect(
      least.filter((version) => !textOf(document).includes(version)),
      document,
    ).toEqual([])
  }
})

it('test/faults/README.md explains every letter and number with which the name of a test begins', () => {
  const folder = join(packageRoot, 'test')
  const textOf = (file: string): string => readFileSync(join(folder, file), 'utf8')
  const used = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .flatMap((file) => [...textOf(file).matchAll(/['"`]((?:[A-H]\d+,? )*[A-H]\d+): /g)])
    .flatMap(([, codes = '']) => codes.split(/,? /))
  const legend = tableRows(textOf('faults/README.md'), 'letter')
  const explained = legend.flatMap(([letter = '', , cases = '']) =>
    cases.split(' · ').map((one) => (one.startsWith(letter) ? one.split(' ')[0] : `${letter}? ${one}`)),
  )
  expect(explained.sort()).toEqual([...new Set(used)].sort())
})

describe('the map of the house', () => {
  const map = source('README.md')
  const listed = tableRows(map, 'file').map(([name]) => quoted(name) ?? '')

  it('has a line for every file, add-ons as a whole', () => {
    const files = sources.map(({ file }) =>
      file.replace(/^(client|cron|express|metrics|opentelemetry|testing)\/.*/, '$1/'),
    )
    expect([...listed].sort()).toEqual([...new Set(files)].sort())
  })

  it('draws the walls that the linter has', () => {
    const config = createRequire(import.meta.url)(join(packageRoot, '.eslintrc.cjs')) as LinterConfig
    const rule = config.overrides.find(({ rules }) => 'import/no-restricted-paths' in rules)
    const zones = (rule?.rules['import/no-restricted-paths']?.[1] as { zones: Zone[] }).zones
    const ground = ['errors.ts', 'options.ts', 'slice.ts', 'world.ts']
    const walls = zones.flatMap(({ target, except }) => {
      if (except === undefined || typeof target !== 'string') return []
      const room = target.replace('./src/', '')
      const others = except.map((path) => path.replace('./', '')).filter((name) => name !== room)
      return [[room, others.filter((name) => !ground.includes(name))] as const]
    })
    const drawn = tableRows(map, 'room').map(
      ([room, allowed = '']) =>
        [quoted(room), [...allowed.matchAll(/`([^`]+)`/g)].map(([, name]) => name)] as const,
    )
    expect(drawn).toEqual(walls)
  })
})

interface Zone {
  readonly target: string | string[]
  readonly except?: string[]
}

interface LinterConfig {
  readonly overrides: { rules: Record<string, unknown[]> }[]
}
