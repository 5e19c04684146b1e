import { existsSync, readdirSync, readlinkSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  drawReport,
  isReportId,
  removeOldReports,
  reportFile,
  reportFolder,
} from '../../example-app/reports.js'
import { temporaryFolder } from './temporary-folder.js'

const id = '01234567-89ab-cdef-0123-456789abcdef'

describe('a report', () => {
  test('has its name only when it is whole, and tells of each user', async () => {
    const file = reportFile(reportFolder(temporaryFolder()), id)
    const told: number[] = []
    const users = ['Asha', 'Ben'].map((name) => ({ name, email: `${name}@example.com`, isVerified: false }))
    await drawReport(file, users, (count) => {
      told.push(count)
      expect(existsSync(file)).toBe(false)
      return Promise.resolve()
    })
    expect(told).toEqual([1, 2])
    expect([existsSync(file), existsSync(`${file}.part`)]).toEqual([true, false])
  })

  test.runIf(existsSync('/proc/self/fd'))('whose drawing is broken off leaves no file open', async () => {
    const file = reportFile(reportFolder(temporaryFolder()), id)
    const users = [{ name: 'Asha', email: 'asha@example.com', isVerified: true }]
    const stop = async () => {
      await writeFile(`${file}.other`, '') // asked for later, so that the report's own file is open by then
      throw new Error('The job was cancelled.')
    }
    await expect(drawReport(file, users, stop)).rejects.toThrow('The job was cancelled.')
    expect(existsSync(file)).toBe(false)
    expect(openFiles().filter((name) => name.startsWith(`${file}.part`))).toEqual([])
  })

  test('that cannot be written says why', async () => {
    const folder = temporaryFolder()
    const file = join(folder, 'no such folder', 'report.pdf')
    const users = [{ name: 'Asha', email: 'asha@example.com', isVerified: true }]
    const meanwhile = () => writeFile(join(folder, 'other'), '') // it has failed by then
    await expect(drawReport(file, users, meanwhile)).rejects.toThrow('ENOENT')
  })

  test('is removed when it is old, finished or not; a younger one stays', async () => {
    const folder = reportFolder(temporaryFolder())
    const write = (name: string, writtenAt: number) => {
      writeFileSync(join(folder, name), 'x')
      utimesSync(join(folder, name), writtenAt / 1000, writtenAt / 1000)
    }
    write('old.pdf', 1_000)
    write('broken.pdf.part', 1_999)
    write('young.pdf', 2_000)
    symlinkSync('nowhere', join(folder, 'renamed.pdf.part')) // listed, and gone when it is looked at
    expect(await removeOldReports(folder, 2_000)).toBe(2)
    expect(['old.pdf', 'broken.pdf.part', 'young.pdf'].map((name) => existsSync(join(folder, name)))).toEqual(
      [false, false, true],
    )
    expect(await removeOldReports(folder, 2_000)).toBe(0)
  })

  test.each(['', '../x', `${id}/`, id.toUpperCase(), `${id}\n`])('has no id like %j', (other) => {
    expect(isReportId(other)).toBe(false)
    expect(isReportId(id)).toBe(true)
  })
})

/** What this process has open, by name. */
function openFiles(): string[] {
  return readdirSync('/proc/self/fd').flatMap((descriptor) => {
    try {
      return [readlinkSync(`/proc/self/fd/${descriptor}`)]
    } catch {
      return [] // closed since the folder was read, as that which it was read by
    }
  })
}
