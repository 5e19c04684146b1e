/** The list of this visit's jobs: keeps it over a reload, and draws each job as it changes. All text is inert. */
import { followJob } from '/sidework-client.js'

const list = document.querySelector('#jobs')
const storageKey = 'jobs'
const maxJobs = 50

const badges = {
  held: 'waiting',
  scheduled: 'waiting',
  blocked: 'waiting',
  ready: 'waiting',
  cancelled: 'failed',
  expired: 'failed',
}

/**
 * @typedef {{ id: string, title: string, detail: string, answeredMs: number, link?: { url: string, text: string } }} VisitJob
 * @type {Map<string, VisitJob & { status: object, card: HTMLElement, onChange: (status: object) => void }>}
 */
const jobs = new Map()

const settled = new Set(['completed', 'failed', 'cancelled', 'expired'])

/** Whether a job in this state is done with. */
export function isSettled(state) {
  return settled.has(state)
}

/** Whether nothing more will be heard of it: it is done with, or the server does not know it any more. */
export function isOver(state) {
  return isSettled(state) || state === 'gone'
}

/** Shows a job and follows it to its end. */
export function addJob(job, onChange = () => undefined) {
  const card = element('li', 'job')
  const entry = { ...job, status: { state: 'ready', ...job.status }, card, onChange }
  jobs.set(job.id, entry)
  list.prepend(card)
  draw(entry)
  remember()
  if (isSettled(entry.status.state)) return onChange(entry.status) // recalled; the server may not know it any more
  followJob(`/jobs/${encodeURIComponent(job.id)}`, { onStatus: (status) => update(entry, status) })
}

/** Shows the jobs from before a reload. */
export function recallJobs(onChangeOf) {
  for (const job of read()) addJob(job, onChangeOf(job))
}

function update(entry, status) {
  const before = entry.status.state
  entry.status = status
  draw(entry)
  remember()
  const { state } = entry.status
  if (state !== before)
    announce(`${entry.title}, ${entry.detail}: ${isSettled(state) ? state : badgeOf(state)}`)
  entry.onChange(entry.status)
}

function draw(entry) {
  const { card, title, detail, status } = entry
  const badge = badgeOf(status.state)
  card.dataset.badge = badge
  const head = element('div', 'job-head')
  const name = element('div', 'job-title')
  name.append(element('strong', '', title), element('span', '', detail))
  head.append(name, element('span', 'badge', isSettled(status.state) ? status.state : badge))
  card.replaceChildren(head, ...messageOf(status), ...progressOf(status), ...linkOf(entry), footOf(entry))
  document.querySelector('#jobs-empty').hidden = true
  document.querySelector('#jobs-count').textContent = String(jobs.size)
}

function messageOf({ state, error, progress }) {
  if (state === 'gone')
    return [element('p', 'job-message', 'The server does not know this job any more. It has been restarted.')]
  if (state !== 'completed' && error?.message) {
    const message = element('p', 'job-message', error.message)
    message.dataset.kind = 'error'
    return [message]
  }
  const message = progress?.message ?? countOf(progress)
  return state === 'running' && message ? [element('p', 'job-message', message)] : []
}

/** A flow or batch says how many of its steps have settled. */
function countOf(progress) {
  if (typeof progress?.total !== 'number') return ''
  const { total, completed, failed } = progress
  return `${completed} of ${total} done` + (failed > 0 ? `, ${failed} failed` : '')
}

function progressOf({ state, progress }) {
  const ratio = typeof progress === 'number' ? progress : progress?.ratio
  if (state !== 'running' || typeof ratio !== 'number') return []
  const bar = element('progress')
  bar.max = 1
  bar.value = ratio
  bar.setAttribute('aria-label', 'Progress')
  return [bar]
}

/** What a completed job has made. */
function linkOf({ link, status }) {
  if (link === undefined || status.state !== 'completed') return []
  const anchor = element('a', 'job-link', link.text)
  Object.assign(anchor, { href: link.url, target: '_blank' })
  return [anchor]
}

function footOf(entry) {
  const { status, answeredMs } = entry
  const foot = element('div', 'job-foot')
  const answered = `request answered in ${answeredMs} ms`
  const { state, acceptedAt, settledAt } = status
  // Both are the server's clock.
  const done = isSettled(state) ? `, ${state} after ${duration(settledAt - acceptedAt)}` : ''
  foot.append(element('span', '', answered + done))
  if (state === 'retrying') {
    const countdown = element('span', 'countdown')
    foot.append(countdown)
    entry.countdown = countdown
    tick(entry)
  } else if (status.attempt > 1) foot.append(element('span', '', attemptOf(status)))
  return foot
}

function attemptOf({ attempt, maxAttempts }) {
  return `attempt ${attempt} of ${maxAttempts}`
}

/** The countdown runs on this device's clock, the retry on the server's: never show less than "any moment". */
function tick({ countdown, status }) {
  const left = Math.ceil((status.runAt - Date.now()) / 1_000)
  const when = left >= 1 ? `next try in ${left} s` : 'next try any moment'
  countdown.textContent = `${attemptOf(status)} failed, ${when}`
}

setInterval(() => {
  for (const entry of jobs.values()) if (entry.status.state === 'retrying') tick(entry)
}, 250)

function badgeOf(state) {
  return badges[state] ?? state
}

function duration(ms) {
  return ms < 950 ? `${Math.max(0, ms)} ms` : `${(ms / 1_000).toFixed(1)} s`
}

function announce(text) {
  document.querySelector('#announcement').textContent = text
}

/** An element with text; text never becomes markup. */
export function element(name, className = '', text = '') {
  const made = document.createElement(name)
  if (className !== '') made.className = className
  if (text !== '') made.textContent = text
  return made
}

function remember() {
  const kept = [...jobs.values()]
    .slice(-maxJobs)
    .map(({ card: _card, countdown: _countdown, onChange: _onChange, ...job }) => job)
  try {
    sessionStorage.setItem(storageKey, JSON.stringify(kept))
  } catch {
    // Without storage (a private window, say) the list ends with the page.
  }
}

function read() {
  try {
    return JSON.parse(sessionStorage.getItem(storageKey) ?? '[]')
  } catch {
    return []
  }
}
