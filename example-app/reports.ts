/** Draws the report of all users. A reader never sees half of one: it gets its name when it is whole. */
import { createWriteStream, mkdirSync } from 'node:fs'
import { readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import PDFDocument from 'pdfkit'
import type { ListedUser } from './database.js'

/** The folder of reports; creates it. */
export function reportFolder(dataDir: string): string {
  const folder = join(dataDir, 'reports')
  mkdirSync(folder, { recursive: true })
  return folder
}

export function reportFile(folder: string, id: string): string {
  return join(folder, `${id}.pdf`)
}

/** Ids are our own UUIDs; nothing else becomes a path. */
export function isReportId(id: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id)
}

/**
 * Writes the report; drawing it again gives the same file.
 * @param drawn awaited after each user, with how many there are by then
 */
export async function drawReport(
  file: string,
  users: readonly ListedUser[],
  drawn: (count: number) => Promise<void>,
): Promise<void> {
  const pdf = new PDFDocument({ size: 'A4', margin: 56, info: { Title: 'Users' } })
  const part = createWriteStream(`${file}.part`)
  const closed = new Promise<void>((resolve) => part.once('close', resolve))
  const written = pipeline(pdf, part)
  // What goes wrong with the file while users are drawn is told when it is awaited.
  written.catch(() => undefined)
  try {
    pdf.fontSize(20).text(`Users (${users.length})`).moveDown()
    for (const [index, { name, email, isVerified }] of users.entries()) {
      pdf.fontSize(12).text(name)
      pdf
        .fontSize(10)
        .text(`${email}, ${isVerified ? 'verified' : 'not verified yet'}`)
        .moveDown(0.5)
      await drawn(index + 1)
    }
    pdf.end()
  } catch (error) {
    pdf.destroy(error as Error) // whatever was thrown: `written` fails with it
  }
  await written.finally(() => closed)
  await rename(`${file}.part`, file)
}

/**
 * Removes reports that were written before `before`, in ms since the epoch, also those whose drawing was broken off.
 * @returns how many
 */
export async function removeOldReports(folder: string, before: number): Promise<number> {
  let removed = 0
  for (const name of await readdir(folder)) {
    const file = join(folder, name)
    const writtenAt = await stat(file).then(
      ({ mtimeMs }) => mtimeMs,
      () => Infinity, // it has got its name, or has been removed, since it was listed
    )
    if (writtenAt >= before) continue
    await rm(file, { force: true })
    removed++
  }
  return removed
}
