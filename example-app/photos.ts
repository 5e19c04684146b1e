/**
 * Makes thumbnails. Files are named after our own ids only; nothing of what the visitor called a file reaches the disk.
 * The server must import this module before its threads do (it does, through the tasks): sharp's native libraries have
 * to be loaded on the main thread first to survive the end of a thread (sharp's manual, "Worker threads").
 */
import { access, rename, rm, writeFile } from 'node:fs/promises'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import sharp from 'sharp'

/** Width in pixels; smaller photos are not blown up. */
export const photoSizes = { small: 160, medium: 480, large: 1024 } as const
export type PhotoSize = keyof typeof photoSizes
export const sizeNames = Object.keys(photoSizes) as PhotoSize[] // the keys of a constant

/** The file is no photo, or a broken one: trying again cannot help. */
export class NotAPhotoError extends Error {
  override name = 'NotAPhotoError'
}

/** What a browser shows and a camera or a phone makes. No SVG: it is a program in a drawing's clothes. */
const formats = new Set(['jpeg', 'png', 'webp', 'gif', 'heif', 'tiff'])
/** Small files can unfold into huge pictures; this one is a hundred-megapixel camera. */
const maxPixels = 100_000_000

/** The folder of originals and thumbnails; creates it. */
export function photoFolder(dataDir: string): string {
  const folder = join(dataDir, 'photos')
  mkdirSync(folder, { recursive: true })
  return folder
}

export function originalFile(folder: string, id: string): string {
  return join(folder, `${id}.original`)
}

export function sizeFile(folder: string, id: string, size: PhotoSize): string {
  return join(folder, `${id}-${size}.webp`)
}

/**
 * Checks that the original is a photo we can read.
 * @throws NotAPhotoError when it is not; the file system's error when it is not there
 */
export async function checkPhoto(file: string): Promise<void> {
  await access(file)
  const { format } = await reading(sharp(file, { limitInputPixels: maxPixels }).metadata())
  if (!formats.has(format))
    throw new NotAPhotoError(`This is a ${format} file. Choose a JPEG, PNG, WebP, GIF, HEIC or TIFF photo.`)
}

/**
 * Makes one size, of the original unless told otherwise. Doing it again gives the same file; a reader never sees half of
 * one.
 * @throws NotAPhotoError when what it is made of breaks off or is larger than 100 megapixels
 */
export async function makeSize(
  folder: string,
  id: string,
  size: PhotoSize,
  from = originalFile(folder, id),
): Promise<void> {
  const picture = sharp(from, { limitInputPixels: maxPixels })
    .autoOrient()
    .resize({ width: photoSizes[size], withoutEnlargement: true })
    .webp({ quality: 80 })
  const file = sizeFile(folder, id, size)
  await writeFile(`${file}.part`, await reading(picture.toBuffer()))
  await rename(`${file}.part`, file)
}

/** Removes one size. */
export async function removeSize(folder: string, id: string, size: PhotoSize): Promise<void> {
  await rm(sizeFile(folder, id, size), { force: true })
}

/** Removes an original. */
export async function removeOriginal(folder: string, id: string): Promise<void> {
  await rm(originalFile(folder, id), { force: true })
}

/** sharp's errors carry no code; while only reading and computing, they are about the picture. */
async function reading<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause)
    throw new NotAPhotoError(`This file cannot be read as a photo (${detail}).`, { cause })
  }
}
