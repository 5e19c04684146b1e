/** The forms, the switch, the inbox and the photos of the front page. */
import { addJob, element, isOver, isSettled, recallJobs } from './jobs.js'
import { drawSchedules, titleOf } from './schedules.js'

const $ = (selector) => document.querySelector(selector)

/** Sends a request and answers with what came back and how long it took; never throws. Without an answer `status` is 0. */
async function request(url, options) {
  const startedAt = performance.now()
  try {
    const response = await fetch(url, {
      ...options,
      headers: { Accept: 'application/json', ...options?.headers },
    })
    const body = await response.json()
    showOffline(false)
    const { ok, status } = response
    return { ok, status, body, ms: Math.max(1, Math.round(performance.now() - startedAt)) }
  } catch {
    showOffline(true)
    return {
      ok: false,
      status: 0,
      body: { errors: [{ field: 'request', message: 'The server cannot be reached. Is it running?' }] },
    }
  }
}

function showOffline(isOffline) {
  $('#offline').textContent = isOffline ? 'The server cannot be reached. Is it running?' : ''
  $('#offline').hidden = !isOffline
}

function post(url, body) {
  return request(url, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  })
}

function say(output, kind, text) {
  output.dataset.kind = kind
  output.textContent = text
}

function messages(body) {
  return (body?.errors ?? [{ message: body?.detail ?? 'Something went wrong. Please try again.' }])
    .map(({ message }) => message)
    .join(' ')
}

// Sign-up

$('#sign-up').addEventListener('submit', async (event) => {
  event.preventDefault()
  const form = event.currentTarget
  const fields = Object.fromEntries(new FormData(form))
  const button = form.querySelector('button')
  button.disabled = true
  const { ok, body, ms } = await post('/signup', fields)
  button.disabled = false
  showFieldErrors(form, ok ? [] : (body?.errors ?? []))
  if (!ok) return
  form.reset()
  say($('#sign-up-answer'), 'good', `${body.message} (Answered in ${ms} ms.)`)
  const job = {
    id: body.job,
    kind: 'mail',
    title: 'Verification mail',
    detail: String(fields.email),
    answeredMs: ms,
  }
  addJob(job, onChangeOf(job))
})

function showFieldErrors(form, errors) {
  for (const input of form.querySelectorAll('input')) {
    const error = errors.find(({ field }) => field === input.name)
    input.setAttribute('aria-invalid', String(error !== undefined))
    $(`#${input.name}-error`).textContent = error?.message ?? ''
  }
  const others = errors.filter(({ field }) => form.elements[field] === undefined)
  say($('#sign-up-answer'), 'bad', others.map(({ message }) => message).join(' '))
  form.querySelector('[aria-invalid="true"]')?.focus()
}

// Mail server

function showMailServer(isUp) {
  const box = $('#mail-server')
  box.disabled = false
  box.checked = isUp
  $('#mail-server-state').textContent = isUp ? 'on: mails arrive' : 'off: mails are retried'
}

$('#mail-server').addEventListener('change', async (event) => {
  const { checked } = event.currentTarget
  event.currentTarget.disabled = true
  const { ok, body } = await post('/mail-server', { up: checked })
  showMailServer(ok ? body.up : !checked)
  if (!ok) $('#mail-server-state').textContent = messages(body)
})

/** The switch may have been turned by another visitor, or by a restart. */
async function askMailServer() {
  const { ok, body } = await request('/mail-server')
  if (ok) showMailServer(body.up)
}

// Inbox

async function showInbox() {
  const { ok, body } = await request('/inbox')
  if (!ok) return
  $('#inbox').replaceChildren(...body.map(mailItem))
  $('#inbox-empty').hidden = body.length > 0
  $('#inbox-count').textContent = body.length > 0 ? String(body.length) : ''
}

function mailItem({ to, subject, text }) {
  const item = element('li', 'mail')
  const content = element('pre')
  content.append(...withLink(text))
  item.append(element('h3', '', subject), element('p', 'to', `to ${to}`), content)
  return item
}

/** Only a verify link of this very server becomes a link; everything else stays text. */
function withLink(text) {
  const [link] = /\bhttps?:\/\/\S+\/verify\/[\w-]+/.exec(text) ?? []
  if (link === undefined) return [text]
  const anchor = element('a', '', link)
  anchor.href = new URL(link).pathname
  anchor.target = '_blank'
  const [before, ...after] = text.split(link)
  return [before, anchor, after.join(link)]
}

// Photos

async function sendPhoto(file) {
  const output = $('#photo-answer')
  if (!file) return
  if (file.size > 10 * 1024 * 1024)
    return say(output, 'bad', `${file.name} is larger than 10 MB. Choose a smaller photo.`)
  say(output, '', `Sending ${file.name} …`)
  const form = new FormData()
  form.append('photo', file)
  const { ok, body, ms } = await request('/photos', { method: 'POST', body: form })
  if (!ok) return say(output, 'bad', messages(body))
  say(output, 'good', `${body.message} (Answered in ${ms} ms.)`)
  const job = {
    id: body.job,
    kind: 'photo',
    photo: body.photo,
    title: 'Photo',
    detail: file.name,
    answeredMs: ms,
  }
  addJob(job, onChangeOf(job))
}

$('#photo-file').addEventListener('change', (event) => {
  sendPhoto(event.currentTarget.files[0])
  event.currentTarget.value = '' // so that the same file can be chosen again
})

for (const type of ['dragenter', 'dragover', 'dragleave', 'drop']) {
  $('#drop').addEventListener(type, (event) => {
    event.preventDefault()
    $('#drop').classList.toggle('over', type === 'dragenter' || type === 'dragover')
    if (type === 'drop') sendPhoto(event.dataTransfer.files[0])
  })
}

const widths = { small: 160, medium: 480, large: 1024 }

/** Of each photo the function that fetches what there is of it. */
const fetchPhotos = new Set()

/** A tile for one photo, which goes with it; answers the function that fetches what there is by now. */
function photoTile({ photo, detail }) {
  const tile = element('li')
  $('#photos').prepend(tile)
  const draw = ({ state, error, sizes }) => {
    const row = element('div', 'sizes')
    for (const [size, width] of Object.entries(widths))
      row.append(sizeItem(sizes[size], `${detail}, ${width} pixels wide`, width))
    const hasFailed = isSettled(state) && state !== 'completed'
    tile.replaceChildren(
      element('p', 'photo-name', detail),
      hasFailed ? element('p', 'photo-error', error ?? `The job is ${state}.`) : row,
    )
  }
  draw({ state: 'ready', sizes: {} })
  const fetchPhoto = async () => {
    const { ok, status, body } = await request(`/photos/${encodeURIComponent(photo)}`)
    if (ok) return draw(body)
    if (status !== 404) return // the server is away, and may know it again
    tile.remove()
    fetchPhotos.delete(fetchPhoto)
  }
  fetchPhotos.add(fetchPhoto)
  return fetchPhoto
}

function sizeItem(url, description, width) {
  const item = element('div', 'size')
  const frame = element(url ? 'a' : 'div', 'frame')
  if (url) {
    const picture = element('img')
    Object.assign(picture, { src: url, alt: description })
    Object.assign(frame, { href: url, target: '_blank' })
    frame.append(picture)
  }
  item.append(frame, element('span', '', `${width} px`))
  return item
}

// Account

async function showAccount() {
  const { ok, body } = await request('/account')
  if (!ok) return
  $('#account').hidden = body.account === null
  if (body.account === null) return
  const { name, email, photos } = body.account
  $('#account-who').textContent = `${name}, ${email}, ${photos} ${photos === 1 ? 'photo' : 'photos'}`
}

$('#account-form').addEventListener('submit', async (event) => {
  event.preventDefault()
  const button = event.currentTarget.querySelector('button')
  const detail = $('#account-who').textContent
  button.disabled = true
  const { ok, body, ms } = await request('/account', { method: 'DELETE' })
  button.disabled = false
  if (!ok) return say($('#account-answer'), 'bad', messages(body))
  const job = { id: body.job, kind: 'account', title: 'Delete the account', detail, answeredMs: ms }
  addJob(job, onChangeOf(job))
  showAccount()
})

// Recurring jobs

async function showSchedules() {
  const { ok, body } = await request('/schedules')
  if (ok) drawSchedules(body, runNow)
}

async function runNow(name) {
  const { ok, body, ms } = await post(`/schedules/${encodeURIComponent(name)}/run`, {})
  if (!ok) return say($('#recurring-answer'), 'bad', messages(body))
  const job = { id: body.job, kind: 'recurring', title: titleOf(name), detail: 'run now', answeredMs: ms }
  addJob(job, onChangeOf(job))
}

// Report

$('#report-form').addEventListener('submit', async (event) => {
  event.preventDefault()
  const button = event.currentTarget.querySelector('button')
  button.disabled = true
  const { ok, body, ms } = await post('/reports', {})
  button.disabled = false
  if (!ok) return say($('#report-answer'), 'bad', messages(body))
  say($('#report-answer'), 'good', `${body.message} (Answered in ${ms} ms.)`)
  addJob({
    id: body.job,
    kind: 'report',
    title: 'Report',
    detail: 'all users',
    answeredMs: ms,
    link: { url: body.report, text: 'Open the PDF' },
  })
})

// What a job's change means for the rest of the page

function onChangeOf(job) {
  if (job.kind === 'photo') {
    const fetchPhoto = photoTile(job)
    return ({ state }) => {
      fetchPhoto()
      if (isOver(state)) refresh()
    }
  }
  if (job.kind === 'report') return undefined
  return ({ state }) => {
    if (!isOver(state)) return
    refresh()
    if (job.kind === 'account') for (const fetchPhoto of fetchPhotos) fetchPhoto()
  }
}

let willRefresh = false

/** Asks once, however many jobs have changed: after a reload all that had ended tell so at the same moment. */
function refresh() {
  if (willRefresh) return
  willRefresh = true
  queueMicrotask(() => {
    willRefresh = false
    showAccount()
    showInbox()
    showSchedules()
    askMailServer()
  })
}

document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'visible') refresh()
})
recallJobs(onChangeOf)
refresh()
