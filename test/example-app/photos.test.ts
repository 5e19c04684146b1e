import { copyFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import sharp from 'sharp'
import { describe, expect, test } from 'vitest'
import { describePhoto } from '../../example-app/photo-steps.js'
import {
  checkPhoto,
  makeSize,
  NotAPhotoError,
  originalFile,
  photoFolder,
  sizeFile,
} from '../../example-app/photos.js'
import { temporaryFolder } from './temporary-folder.js'

const samplePhoto = fileURLToPath(new URL('../../example-app/sample-photo.jpg', import.meta.url))

/** A folder with one original under the id 'p'. */
function folderWith(content: Buffer | string): string {
  const folder = photoFolder(temporaryFolder())
  writeFileSync(originalFile(folder, 'p'), content)
  return folder
}

const picture = (width: number, height: number) =>
  sharp({ create: { width, height, channels: 3, background: 'teal' } })

describe('a real photo', () => {
  test('passes the check and comes out in three widths, in proportion', async () => {
    const folder = photoFolder(temporaryFolder())
    copyFileSync(samplePhoto, originalFile(folder, 'p'))
    await checkPhoto(originalFile(folder, 'p'))
    for (const [size, width, height] of [
      ['small', 160, 120],
      ['medium', 480, 360],
      ['large', 1024, 768],
    ] as const) {
      await makeSize(folder, 'p', size)
      expect(await sharp(sizeFile(folder, 'p', size)).metadata()).toMatchObject({
        format: 'webp',
        width,
        height,
      })
    }
    expect(readdirSync(folder).sort()).toEqual([
      'p-large.webp',
      'p-medium.webp',
      'p-small.webp',
      'p.original',
    ])
  })

  test('that is small stays small', async () => {
    const folder = folderWith(await picture(100, 50).png().toBuffer())
    await makeSize(folder, 'p', 'small')
    expect(await sharp(sizeFile(folder, 'p', 'small')).metadata()).toMatchObject({ width: 100, height: 50 })
  })

  test('that a phone took sideways stands upright, and loses where it was taken', async () => {
    const exif = { IFD3: { GPSLatitudeRef: 'N', GPSLatitude: '51/1 30/1 0/1' } }
    const taken = picture(400, 200).withExif(exif).withMetadata({ orientation: 6 })
    const folder = folderWith(await taken.jpeg().toBuffer())
    await makeSize(folder, 'p', 'small')
    const made = await sharp(sizeFile(folder, 'p', 'small')).metadata()
    expect(made).toMatchObject({ width: 160, height: 320 })
    expect(made.exif).toBeUndefined()
  })

  test('comes out the same when the work is done again', async () => {
    const folder = folderWith(await picture(600, 600).webp().toBuffer())
    await makeSize(folder, 'p', 'medium')
    const first = readFileSync(sizeFile(folder, 'p', 'medium'))
    await makeSize(folder, 'p', 'medium')
    expect(readFileSync(sizeFile(folder, 'p', 'medium')).equals(first)).toBe(true)
  })
})

describe('no photo', () => {
  test.each([
    ['a text', 'hello'],
    ['an empty file', ''],
    ['a drawing that is a program', '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'],
  ])('%s is refused', async (_what, content) => {
    await expect(checkPhoto(originalFile(folderWith(content), 'p'))).rejects.toBeInstanceOf(NotAPhotoError)
  })

  test('a photo that breaks off is refused, and leaves nothing behind', async () => {
    const whole = readFileSync(samplePhoto)
    const folder = folderWith(whole.subarray(0, whole.length / 2))
    await checkPhoto(originalFile(folder, 'p'))
    await expect(makeSize(folder, 'p', 'small')).rejects.toBeInstanceOf(NotAPhotoError)
    expect(readdirSync(folder)).toEqual(['p.original'])
  })

  test('a small file that unfolds into a huge picture is refused', async () => {
    const bomb = readFileSync(samplePhoto)
    // The frame header says how large the picture is (ITU-T T.81, B.2.2): marker, length, precision, height, width.
    const frame = Math.max(bomb.indexOf('ffc0', 'hex'), bomb.indexOf('ffc2', 'hex'))
    bomb.writeUInt16BE(12_000, frame + 5)
    bomb.writeUInt16BE(9_000, frame + 7)
    await expect(checkPhoto(originalFile(folderWith(bomb), 'p'))).rejects.toThrow(/pixel limit/)
  })

  test('a missing file is another matter: that may be tried again', async () => {
    const failure = checkPhoto(originalFile(temporaryFolder(), 'p'))
    await expect(failure).rejects.toMatchObject({ code: 'ENOENT' })
    await expect(failure).rejects.not.toBeInstanceOf(NotAPhotoError)
  })
})

describe('what is told of a photo whose job is forgotten', () => {
  const photo = { id: 'p', refusal: undefined, sizes: [] as string[] }
  const none = { small: null, medium: null, large: null }

  test('it is completed when all sizes are there', () => {
    expect(describePhoto({ ...photo, sizes: ['large', 'medium', 'small'] }, [])).toEqual({
      id: 'p',
      state: 'completed',
      sizes: { small: '/photos/p/small', medium: '/photos/p/medium', large: '/photos/p/large' },
    })
  })

  test('it has failed with its own reason', () => {
    const told = describePhoto({ ...photo, refusal: 'This is a text.' }, [])
    expect(told).toEqual({ id: 'p', state: 'failed', error: 'This is a text.', sizes: none })
  })

  test('it has failed with the server when it was cut short', () => {
    const told = describePhoto({ ...photo, sizes: ['small'] }, [])
    expect(told).toMatchObject({ state: 'failed', error: expect.stringContaining('Upload the photo again') })
    expect(told.sizes).toEqual({ ...none, small: '/photos/p/small' })
  })
})
