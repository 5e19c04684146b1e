/** Takes an uploaded photo to the disk. */
import { randomUUID } from 'node:crypto'
import type { RequestHandler } from 'express'
import multer from 'multer'
import { originalFile } from './photos.js'

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
