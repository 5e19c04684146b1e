import { mkdir, readdir, rename, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { card, example, signUp, visit } from './browsing.js'

const photo = fileURLToPath(new URL('../../example-app/sample-photo.jpg', import.meta.url))
/** Where to look at what a test saw; nothing is written without it. */
const folder = process.env['SCREENSHOTS']

it('the page follows a mail, a photo and a report live to their ends', async () => {
  const { url } = await example()
  const { page, complaints } = await visit(url)
  await signUp(page, 'Asha', 'asha@example.com')
  await card(page, 'asha@example.com').locator('.badge', { hasText: 'completed' }).waitFor()
  await page.locator('#inbox .mail', { hasText: 'asha@example.com' }).waitFor()

  await page.setInputFiles('#photo-file', photo)
  await card(page, 'sample-photo.jpg').locator('.badge', { hasText: 'completed' }).waitFor()
  await page.waitForFunction(() => document.querySelectorAll('#photos img').length === 3)

  await page.click('#report-form button')
  const link = card(page, 'all users').locator('a', { hasText: 'Open the PDF' })
  await link.waitFor()
  const pdf = await fetch(new URL((await link.getAttribute('href')) ?? '', url))
  expect(pdf.headers.get('content-type')).toBe('application/pdf')
  const bytes = Buffer.from(await pdf.arrayBuffer())
  expect(bytes.subarray(0, 5).toString()).toBe('%PDF-')
  expect(bytes.subarray(-6).toString()).toContain('%%EOF')
  if (folder !== undefined) await page.screenshot({ path: `${folder}/three-jobs.png`, fullPage: true })

  await page.setViewportSize({ width: 360, height: 800 })
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(360)
  if (folder !== undefined) await page.screenshot({ path: `${folder}/narrow.png`, fullPage: true })

  const asked: string[] = []
  page.on('request', (request) => asked.push(new URL(request.url()).pathname))
  await page.reload() // what this visit did is still there, with its links
  await card(page, 'all users').locator('a').waitFor()
  expect(await page.locator('#jobs .job').count()).toBe(3)
  expect(asked.filter((path) => path === '/inbox')).toHaveLength(1) // however many jobs had ended
  expect(complaints).toEqual([])
})

it('recurring jobs are shown with their next runs, and one runs when asked to', async () => {
  const { url } = await example()
  const { page, complaints } = await visit(url)
  const report = page.locator('.schedule', { hasText: 'Nightly report' })
  await report.locator('.next-runs li').nth(2).waitFor()
  expect(await page.locator('.schedule').count()).toBe(3)
  // The schedule is Berlin's, the times are those of who looks: so they say of which zone.
  const zone = new Intl.DateTimeFormat('en-US', { timeZoneName: 'short' }).format().split(' ').at(-1) ?? ''
  expect(await report.locator('.next-runs li').first().textContent()).toContain(zone)
  await report.locator('button', { hasText: 'Run now' }).click()
  await page.locator('#recurring-answer', { hasText: /^Report of \d{4}-\d{2}-\d{2}/ }).waitFor()
  if (folder !== undefined) await page.locator('.recurring').screenshot({ path: `${folder}/recurring.png` })
  expect(complaints).toEqual([])
})

it('a job that waits for the mail server is seen waiting, and a restart without it ends it clearly', async () => {
  const first = await example()
  const { page, complaints } = await visit(first.url)
  await page.click('#mail-server')
  await page.locator('#mail-server-state', { hasText: 'off' }).waitFor()
  await signUp(page, 'Ben', 'ben@example.com')
  const job = card(page, 'ben@example.com')
  await job.locator('.countdown').waitFor()
  expect(await job.textContent()).toMatch(/attempt \d+ of 20 failed/)

  await first.end('SIGKILL')
  await example(Number(new URL(first.url).port))
  await job.locator('.job-message', { hasText: 'It has been restarted' }).waitFor()
  await page.locator('#mail-server-state', { hasText: 'on: mails arrive' }).waitFor() // as it is after a start
  if (folder !== undefined) await page.screenshot({ path: `${folder}/restarted.png`, fullPage: true })
  expect(complaints).toEqual([])
})

it('an account is deleted while its batch is watched, also when one deletion fails at first', async () => {
  const { url, dataDir } = await example()
  const { page, complaints } = await visit(url)
  await signUp(page, 'Asha', 'asha@example.com')
  const link = page.locator('#inbox .mail a').first()
  await link.waitFor()
  await page.goto(new URL((await link.getAttribute('href')) ?? '', url).href)
  await page.goto(url)
  await page.locator('#account-who', { hasText: 'asha@example.com, 0 photos' }).waitFor()

  for (let photos = 1; photos <= 12; photos++) {
    await page.setInputFiles('#photo-file', photo)
    await page
      .locator('#jobs .job[data-badge=completed]', { hasText: 'sample-photo.jpg' })
      .nth(photos - 1)
      .waitFor()
  }
  await page.locator('#account-who', { hasText: '12 photos' }).waitFor()
  await page.locator('#inbox .mail', { hasText: 'Your photo is ready' }).nth(11).waitFor()
  const folderOfPhotos = join(dataDir, 'photos')
  const [thumbnail = ''] = (await readdir(folderOfPhotos)).filter((file) => file.endsWith('-small.webp'))
  const inTheWay = join(folderOfPhotos, thumbnail)
  await rename(inTheWay, join(dataDir, 'moved.webp'))
  await mkdir(inTheWay) // cannot be removed as a file is
  await page.click('#account-form button')
  const deletion = card(page, 'asha@example.com, 12 photos')
  await deletion.locator('.job-message', { hasText: '24 of 25 done' }).waitFor()
  const bar = deletion.locator('progress')
  expect(await bar.evaluate((element: HTMLProgressElement) => element.value)).toBe(24 / 25)
  await rmdir(inTheWay)
  await deletion.locator('.badge', { hasText: 'completed' }).waitFor()
  await page.locator('#account').waitFor({ state: 'hidden' })
  await page.locator('#inbox-empty').waitFor()
  await page.waitForFunction(() => document.querySelectorAll('#photos li').length === 0)
  await page.reload() // nor do they come back
  await card(page, 'asha@example.com, 12 photos').waitFor()
  await page.waitForFunction(() => document.querySelectorAll('#photos li').length === 0)
  if (folder !== undefined) await page.screenshot({ path: `${folder}/account.png`, fullPage: true })
  expect(complaints).toEqual([])
})

const markup = [
  '<script>alert(1)</script>',
  '<img src=x onerror=alert(1)>',
  '<svg onload=alert(1)>',
  '"><svg/onload=alert(1)>',
  "'><img src=x onerror=alert(1)>",
  '<iframe srcdoc="<script>parent.alert(1)</script>">',
  '<a href="javascript:alert(1)">x</a>',
  'javascript:alert(1)',
  '</textarea><script>alert(1)</script>',
  '</title><script>alert(1)</script>',
  '</script><script>alert(1)</script>',
  '<body onload=alert(1)>',
  '<input autofocus onfocus=alert(1)>',
  '<details open ontoggle=alert(1)>',
  '<math><mtext><img src=x onerror=alert(1)></mtext></math>',
  '<style>@import "//evil.example"</style>',
  '<base href="//evil.example/">',
  '<meta http-equiv=refresh content="0;url=javascript:alert(1)">',
  '<object data="data:text/html,<script>alert(1)</script>">',
  '<embed src="data:text/html,<script>alert(1)</script>">',
]
const names = [...markup, ...markup.map((text) => text.replaceAll('<', '&lt;').slice(0, 100))]

it('G17: markup in names and file names stays text on the page', async () => {
  const { url } = await example()
  for (const [n, name] of names.entries()) {
    const body = JSON.stringify({ name, email: `m${n}@example.com`, password: 'correct horse battery' })
    const sent = await fetch(`${url}/signup`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body,
    })
    expect(sent.status).toBe(202)
  }
  const { page, complaints } = await visit(url)
  await page.waitForFunction(async (count) => {
    const mails = (await (await fetch('/inbox')).json()) as unknown[]
    return mails.length === count
  }, names.length)
  await page.reload()
  await page
    .locator('#inbox .mail')
    .nth(names.length - 1)
    .waitFor()
  const shown = await page.locator('#inbox').textContent()
  for (const name of names) expect(shown).toContain(`Hello ${name}`)
  for (const name of markup) {
    await page.setInputFiles('#photo-file', {
      name: `${name}.jpg`,
      mimeType: 'image/jpeg',
      buffer: Buffer.from(name),
    })
    await card(page, `${name}.jpg`).locator('.badge', { hasText: 'failed' }).waitFor()
  }
  if (folder !== undefined) await page.screenshot({ path: `${folder}/markup.png` })
  expect(
    await page.locator('#jobs script, #jobs svg, #inbox script, #inbox img, #photos iframe').count(),
  ).toBe(0)
  expect(complaints).toEqual([])
})
