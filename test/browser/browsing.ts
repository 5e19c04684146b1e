/** The example in a process of its own, and a page of it in headless Chromium that must not complain. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium, type Browser, type Page } from 'playwright-core'
import { afterAll, beforeAll, onTestFinished } from 'vitest'
import { startExample, type Example } from '../programs/example-process.js'

const executablePath = process.env['CHROMIUM'] ?? '/usr/bin/chromium'
let browser: Browser

beforeAll(async () => {
  browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] })
})
afterAll(() => browser.close())

/** A page, and what it complained of: uncaught errors, dialogs, refusals of the content security policy. */
export interface Visit {
  readonly page: Page
  readonly complaints: string[]
}

export async function visit(url: string): Promise<Visit> {
  const page = await browser.newPage({ viewport: { width: 1100, height: 1400 } })
  onTestFinished(() => page.close())
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(`error: ${error.message}`))
  page.on('dialog', (dialog) => {
    complaints.push(`dialog: ${dialog.message()}`)
    void dialog.dismiss()
  })
  page.on('console', (message) => {
    if (/Content Security Policy|Refused to/.test(message.text())) complaints.push(message.text())
  })
  await page.goto(url)
  return { page, complaints }
}

/** Ended, with its data removed, when the test has finished. */
export async function example(port = 0): Promise<Example & { readonly dataDir: string }> {
  const dataDir = await mkdtemp(join(tmpdir(), 'sidework-browser-'))
  const started = await startExample(dataDir, { PORT: String(port) })
  onTestFinished(async () => {
    await started.end('SIGKILL')
    await rm(dataDir, { recursive: true, force: true })
  })
  return { ...started, dataDir }
}

export async function signUp(page: Page, name: string, email: string): Promise<void> {
  await page.fill('#name', name)
  await page.fill('#email', email)
  await page.fill('#password', 'correct horse battery')
  await page.click('#sign-up button')
}

/** The card of the newest job with this detail. */
export function card(page: Page, detail: string) {
  return page.locator('#jobs .job', { hasText: detail }).first()
}
