/**
 * `npm run test:prometheus`: a real Prometheus scrapes the example app while visitors use it. Afterwards every counter
 * must say what the visitors saw, every expression of the dashboard must have data, and promtool must be content with
 * metrics, alerts and their tests. Ends with 1 when anything is wrong.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { startExample } from '../programs/example-process.js'
import { rows } from './panels.js'
import { installPrometheus, promtool, startPrometheus, type Prometheus } from './server.js'
import { mail, Visitors } from './visitors.js'

const pathOf = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url))
const alerts = pathOf('../../src/metrics/prometheus-alerts.yml')
const alertTests = pathOf('alerts.test.yml')
const maxQueued = 12
/** Long enough for several scrapes. */
const loadMs = 6_000
let passed = 0
let failed = 0

async function check(name: string, test: () => unknown): Promise<void> {
  try {
    await test()
    passed++
    console.log(`ok   ${name}`)
  } catch (error) {
    failed++
    console.log(`FAIL ${name}\n${error instanceof Error ? error.message : String(error)}`)
  }
}

/** A scripted run: successes, failures, retries, duplicates, refusals, then load. */
async function visit(visitors: Visitors): Promise<void> {
  const users: string[] = []
  for (let n = 0; n < 5; n++) {
    const signedUp = await visitors.signUp()
    assert.ok(signedUp)
    users.push(signedUp.userId)
    await visitors.settled(mail, signedUp.job, 'completed')
  }
  for (let n = 0; n < 2; n++) {
    const signedUp = await visitors.signUp('example.invalid')
    assert.ok(signedUp)
    await visitors.settled(mail, signedUp.job, 'failed')
  }
  for (const [content, end] of [
    [undefined, 'completed'],
    [new TextEncoder().encode('no photo'), 'failed'],
  ] as const) {
    const uploaded = await visitors.uploadPhoto(content)
    assert.ok(uploaded)
    await visitors.photoSettled(uploaded, end)
  }
  await whileTheMailServerIsDown(visitors)
  const until = Date.now() + loadMs
  while (Date.now() < until) {
    await Promise.all(
      users.map(async (userId) => {
        const asked = await visitors.askAgain(userId)
        assert.ok(asked)
        await visitors.settled(mail, asked.job, 'completed')
      }),
    )
  }
}

async function whileTheMailServerIsDown(visitors: Visitors): Promise<void> {
  await visitors.mailServer(false)
  const waiting: string[] = []
  for (let n = 0; n < maxQueued; n++) {
    const signedUp = await visitors.signUp()
    assert.ok(signedUp)
    waiting.push(signedUp.job)
    if (n >= 3) continue
    await visitors.retrying(signedUp.job)
    for (let again = 0; again < 2; again++) await visitors.askAgain(signedUp.userId)
  }
  for (let n = 0; n < 3; n++) assert.equal(await visitors.signUp(), undefined)
  await visitors.mailServer(true)
  await Promise.all(waiting.map((job) => visitors.settled(mail, job, 'completed')))
}

/** Waits until Prometheus has scraped what is there now. */
async function scraped(prometheus: Prometheus): Promise<void> {
  const now = Date.now() / 1000
  for (let patience = 100; patience > 0; patience--) {
    const [last] = await prometheus.query('timestamp(sidework_queue_bytes)')
    if (last !== undefined && last.value > now) return
    await delay(200)
  }
  throw new Error('Prometheus has not scraped the app within 20 s.')
}

async function valueOf(prometheus: Prometheus, series: string): Promise<number> {
  const [first, ...others] = await prometheus.query(series)
  assert.deepEqual(others, [], `${series} is one series`)
  assert.ok(first, `${series} is there`)
  return first.value
}

async function checkCounters(prometheus: Prometheus, { seen }: Visitors): Promise<void> {
  const expected: Record<string, number> = {
    'sidework_jobs_refused_total{code="ERR_SIDEWORK_QUEUE_FULL"}': Object.values(seen).reduce(
      (sum, { refused }) => sum + refused,
      0,
    ),
    'sum(sidework_jobs_refused_total)': 3,
    'sum(sidework_jobs)': 0,
    sidework_queue_bytes: 0,
    sidework_queue_limit_jobs: maxQueued,
  }
  for (const [task, { accepted, deduplicated, completed, failed, attempts }] of Object.entries(seen)) {
    const of = (metric: string, ...labels: string[]): string =>
      `sidework_${metric}{${[`task="${task}"`, ...labels].join(', ')}}`
    Object.assign(expected, {
      [of('jobs_accepted_total')]: accepted,
      [of('jobs_deduplicated_total')]: deduplicated,
      [of('jobs_settled_total', 'outcome="completed"')]: completed,
      [of('jobs_settled_total', 'outcome="failed"')]: failed,
      [of('jobs_settled_total', 'outcome="cancelled"')]: 0,
      [of('jobs_settled_total', 'outcome="expired"')]: 0,
      [of('attempts_total', 'outcome="completed"')]: completed,
      [of('attempts_total', 'outcome="threw"')]: attempts - completed,
      [`sum(${of('attempts_total')})`]: attempts,
      [of('jobs_retried_total')]: attempts - completed - failed,
      [of('job_wait_seconds_count')]: attempts,
      [of('job_wait_seconds_bucket', 'le="+Inf"')]: attempts,
      [of('attempt_duration_seconds_count')]: attempts,
      [of('attempt_duration_seconds_bucket', 'le="+Inf"')]: attempts,
    })
  }
  for (const [series, value] of Object.entries(expected)) {
    await check(`${series} is ${value}`, async () => assert.equal(await valueOf(prometheus, series), value))
  }
}

async function checkDashboard(prometheus: Prometheus): Promise<void> {
  const filled = (expression: string): string =>
    expression
      .replaceAll('$job', 'example')
      .replaceAll('$instance', '.*')
      .replaceAll('$__rate_interval', '5m')
      .replaceAll('$__range', '5m')
  for (const { title, queries } of rows.flatMap(({ panels }) => panels)) {
    for (const [expression, legend] of queries) {
      await check(`the panel '${title}' has data: ${legend}`, async () => {
        const samples = await prometheus.query(filled(expression))
        assert.ok(
          samples.some(({ value }) => Number.isFinite(value)),
          filled(expression),
        )
      })
    }
  }
}

/** Every alert has a test in which it fires and one in which it does not. */
function checkAlertTests(): void {
  const names = [...readFileSync(alerts, 'utf8').matchAll(/^ *- alert: (\w+)$/gm)].map(([, name]) => name)
  const tested = readFileSync(alertTests, 'utf8')
  assert.ok(names.length >= 6)
  for (const name of names) {
    assert.match(tested, new RegExp(`alertname: ${name}\\n +exp_alerts:\\n +- exp_labels`), `${name} fires`)
    assert.match(tested, new RegExp(`alertname: ${name}\\n +exp_alerts: \\[\\]`), `${name} does not fire`)
  }
}

installPrometheus()
await check('promtool is content with the alert rules', () => promtool(['check', 'rules', alerts]))
await check('every alert has a test in which it fires, and one in which it does not', checkAlertTests)
await check('the tests of the alerts pass', () => promtool(['test', 'rules', alertTests]))

const dataDir = mkdtempSync(join(tmpdir(), 'sidework-prometheus-app-'))
const example = await startExample(dataDir, { MAX_QUEUED: String(maxQueued) })
const prometheus = await startPrometheus(new URL(example.url).host, alerts)
try {
  const visitors = new Visitors(example.url)
  await visit(visitors)
  await scraped(prometheus)
  console.log('seen by the visitors:', JSON.stringify(visitors.seen))
  await checkCounters(prometheus, visitors)
  await checkDashboard(prometheus)
  await check('Prometheus evaluates every alert', async () => {
    const rules = await prometheus.rules()
    assert.ok(rules.length >= 6)
    assert.deepEqual(
      rules.filter(({ health }) => health !== 'ok'),
      [],
    )
  })
  await check('promtool is content with /metrics', async () =>
    promtool(['check', 'metrics'], await (await fetch(`${example.url}/metrics`)).text()),
  )
} finally {
  await prometheus.stop()
  await example.end('SIGTERM')
  rmSync(dataDir, { recursive: true, force: true })
}
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
