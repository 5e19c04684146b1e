/** The table in README.md, the dashboard and the alerts speak of the metrics that there are. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { bucketBoundsMs } from '../../src/job/duration-tally.js'
import { metricTable } from '../../src/metrics/metric-table.js'
import { metrics } from '../../src/metrics/index.js'
import { packageRoot } from '../fixtures/loader/project.js'
import { quoted, tableRows } from '../fixtures/markdown.js'
import { dashboardJson } from '../prometheus/dashboard.js'
import { rows } from '../prometheus/panels.js'
import { makeSim } from '../simulation/sim.js'
import { seriesOf } from './exposition.js'

const file = (name: string): string => readFileSync(join(packageRoot, 'src/metrics', name), 'utf8')
const readme = file('README.md')
const alerts = file('prometheus-alerts.yml')

/** Every series a metric can have, by name, with its labels. */
const series = new Map(
  metricTable.flatMap(({ name, type, labels }) =>
    type === 'histogram'
      ? [
          [`${name}_bucket`, [...labels, 'le']] as const,
          [`${name}_sum`, labels] as const,
          [`${name}_count`, labels] as const,
        ]
      : [[name, labels] as const],
  ),
)

describe('the table of metrics', () => {
  it('lists each with its type and labels, in the order in which they are served', async () => {
    const sim = makeSim()
    const served = [...(await metrics(sim.scheduler).register.metrics()).matchAll(/^# TYPE (\S+) (\S+)$/gm)]
    const listed = tableRows(readme, 'metric').map(([name, type, labels]) => [
      quoted(name),
      type,
      quoted(labels) ?? '',
    ])
    expect(listed.map(([name, type]) => [name, type])).toEqual(served.map(([, name, type]) => [name, type]))
    expect(listed.map(([, , labels]) => labels)).toEqual(metricTable.map(({ labels }) => labels.join(', ')))
  })

  it('gives the bounds of the buckets', () => {
    expect(readme).toContain(`end at ${bucketBoundsMs.map((ms) => ms / 1000).join(', ')} seconds`)
  })

  it('gives units by the names: seconds, bytes, or things that are counted', () => {
    for (const { name, type } of metricTable) {
      expect(name).toMatch(/^sidework_[a-z_]+$/)
      expect(name.endsWith('_total'), name).toBe(type === 'counter')
      expect(name, name).not.toMatch(/_(ms|millis|minutes|kb|mb|percent)/)
    }
  })

  it('says what each alert waits for', () => {
    const names = [...alerts.matchAll(/- alert: (\w+)/g)].map(([, name]) => name)
    expect(tableRows(readme, 'alert').map(([name]) => quoted(name))).toEqual(names)
    for (const [name, , forHow = ''] of tableRows(readme, 'alert')) {
      const rule = alerts.split('- alert: ').find((text) => text.startsWith(`${quoted(name)}\n`)) ?? ''
      const [, minutes] = /for: (\d+)m/.exec(rule) ?? []
      expect(forHow, name).toBe(minutes === undefined ? '–' : `${minutes} min`)
    }
  })
})

describe.each([
  [
    'the dashboard',
    rows.flatMap(({ panels }) => panels.flatMap(({ queries }) => queries.map(([expression]) => expression))),
  ],
  [
    'the alerts',
    alerts
      .split('- alert:')
      .slice(1)
      .map((rule) => /expr:([^]*?)\n {8}(?:for|labels):/.exec(rule)?.[1] ?? ''),
  ],
])('%s', (_what, expressions) => {
  it('asks only for metrics and labels that there are', () => {
    expect(expressions.length).toBeGreaterThan(5)
    for (const expression of expressions) {
      const asked = [...expression.matchAll(/(sidework_\w+)(?:\{([^}]*)\})?/g)]
      expect(asked.length, expression).toBeGreaterThan(0)
      for (const [, name = '', matchers = ''] of asked) {
        const labels = series.get(name)
        expect(labels, name).toBeDefined()
        for (const [, label = ''] of matchers.matchAll(/(\w+)=~?"/g)) {
          expect([...(labels ?? []), 'job', 'instance'], `${name}{${label}}`).toContain(label)
        }
      }
    }
  })
})

it('the tests of the alerts begin counters as the exporter does: at 0 where it shows them from the start, else with the first count', async () => {
  const served = seriesOf(await metrics(makeSim().scheduler).register.metrics())
  const tests = readFileSync(join(packageRoot, 'test/prometheus/alerts.test.yml'), 'utf8')
  const fed = [
    ...tests.matchAll(
      /series: '(sidework_(?:jobs_refused|threads_exited)_total)\{job="\w+", instance="[\w-]+", (.*)\}'\n +values: '(\S+)/g,
    ),
  ]
  expect(fed.length).toBeGreaterThanOrEqual(4)
  for (const [, name, labels = '', first] of fed) {
    const series = `${name}{${labels.replaceAll(', ', ',')}}`
    expect(first, series).toMatch(served.has(series) ? /^0/ : /^_/)
  }
})

it('the dashboard in the package is the one that is built from the panels', () => {
  expect(file('grafana-dashboard.json')).toBe(dashboardJson())
})

it('the dashboard shows every metric', () => {
  const shown = rows.flatMap(({ panels }) =>
    panels.flatMap(({ queries }) => queries.map(([expression]) => expression)),
  )
  const missing = metricTable.filter(({ name }) => !shown.some((expression) => expression.includes(name)))
  expect(missing.map(({ name }) => name)).toEqual([])
})
