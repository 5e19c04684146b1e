/** Takes an uploaded photo to the disk, and tells how far its thumbnails are. */
import { randomUUID } from 'node:crypto'
import type { RequestHandler } from 'express'
import multer from 'multer'
import type { JobSnapshot } from 'sidework'
import type { Photo } from './database.js'
import { originalFile, sizeNames, type PhotoSize } from './photos.js'

export const maxPhotoBytes = 10 * 1024 * 1024

/** Stores the file of the field `photo` under an id of our own, `res.locals.photoId`; absent when there was no file. */
export function receivePhoto(folder: string): RequestHandler {
  const storage = multer.diskStorage({
    destination: folder,
    filename: (req, _file, done) => {
      const photoId = randomUUID()
      if (req.res !== undefined) req.res.locals['photoId'] = photoId
      done(null, originalFile('', photoId))
    },
  })
  return multer({ storage, limits: { fileSize: maxPhotoBytes, files: 1, parts: 10 } }).single('photo')
}

export interface PhotoDescription {
  readonly id: string
  /** The state of its job; of a job that the scheduler no longer knows, how it ended. */
  readonly state: string
  readonly error?: string
  /** Where each picture is; `null` until it is there. */
  readonly sizes: Readonly<Record<PhotoSize, string | null>>
}

/** @param job the photo's job, while the scheduler knows it */
export function describePhoto(photo: Photo, job: JobSnapshot | undefined): PhotoDescription {
  const url = (size: PhotoSize) => (photo.sizes.includes(size) ? `/photos/${photo.id}/${size}` : null)
  const sizes = { small: url('small'), medium: url('medium'), large: url('large') }
  if (job !== undefined) {
    const error = job.state === 'completed' ? undefined : job.error?.message
    return { id: photo.id, state: job.state, ...(error !== undefined && { error }), sizes }
  }
  if (photo.sizes.length === sizeNames.length) return { id: photo.id, state: 'completed', sizes }
  const error = photo.refusal ?? 'The server stopped before the thumbnails were done. Upload the photo again.'
  return { id: photo.id, state: 'failed', error, sizes }
}
