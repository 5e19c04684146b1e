/** The recurring jobs: when they run next, and a button that runs one now. All text is inert. */
import { element } from './jobs.js'

const titles = {
  'nightly-report': 'Nightly report',
  'expired-log-ins': 'Removal of expired log-ins',
  'old-reports': 'Removal of PDFs older than a day',
}
/** With the zone of whoever looks, which need not be the schedule's. */
const format = new Intl.DateTimeFormat(undefined, {
  month: 'short',
  day: 'numeric',
  hour: 'numeric',
  minute: '2-digit',
  timeZoneName: 'short',
})

export const titleOf = (name) => titles[name] ?? name

/** @param runNow called with a schedule's name */
export function drawSchedules({ schedules, report, logIns }, runNow) {
  const items = schedules.map((schedule) => scheduleItem(schedule, runNow))
  document.querySelector('#schedules').replaceChildren(...items)
  const output = document.querySelector('#recurring-answer')
  const counted = report
    ? `Report of ${report.day}: ${report.users} signed up, ${report.verified} verified, ${report.mails} mails, ${report.photos} photos.`
    : 'No report yet.'
  output.textContent = `${counted} Log-ins kept: ${logIns}.`
}

function scheduleItem({ name, description, nextRuns }, runNow) {
  const item = element('li', 'schedule')
  const words = element('div')
  const times = element('ol', 'next-runs')
  times.append(...nextRuns.map((at) => element('li', '', format.format(at))))
  words.append(element('strong', '', titleOf(name)), element('p', 'when', description), times)
  const button = element('button', '', 'Run now')
  button.type = 'button'
  button.setAttribute('aria-label', `Run now: ${titleOf(name)}`)
  button.addEventListener('click', async () => {
    button.disabled = true
    await runNow(name)
    button.disabled = false
  })
  item.append(words, button)
  return item
}
