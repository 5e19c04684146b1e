/**
 * From an upload to its thumbnails: the photo is read once, which may take long, and its thumbnails are cut side by side
 * from what came out.
 *
 *   resize ──┬──▶ small ───┬──▶ notify
 *            └──▶ medium ──┘
 */
import type { JobSnapshot } from 'sidework'
import type { Photo } from './database.js'
import { sizeNames, type PhotoSize } from './photos.js'
import { makeThumbnail, notifyOwner, resizePhoto } from './tasks.js'

/** The steps that make pictures have ids of our own (random, because the photo's is), so that a photo finds its jobs. */
export function photoSteps(photoId: string) {
  const thumbnail = (size: 'small' | 'medium') => ({
    task: makeThumbnail,
    payload: { photoId, size },
    after: ['resize' as const],
    options: { id: `${photoId}-${size}` },
  })
  return {
    resize: { task: resizePhoto, payload: { photoId }, options: { id: photoId } },
    small: thumbnail('small'),
    medium: thumbnail('medium'),
    notify: { task: notifyOwner, payload: { photoId }, after: ['small' as const, 'medium' as const] },
  }
}

/** Ids of the jobs that make the photo's pictures, the first step first. */
export function photoJobIds(photoId: string): string[] {
  return [photoId, `${photoId}-small`, `${photoId}-medium`]
}

export interface PhotoDescription {
  readonly id: string
  /** The state of the first step that has not completed; of steps that the scheduler no longer knows, how they ended. */
  readonly state: string
  readonly error?: string
  /** Where each picture is; `null` until it is there. */
  readonly sizes: Readonly<Record<PhotoSize, string | null>>
}

/** @param jobs of `photoJobIds`, as far as the scheduler knows them */
export function describePhoto(photo: Photo, jobs: readonly (JobSnapshot | undefined)[]): PhotoDescription {
  const { id } = photo
  const url = (size: PhotoSize) => (photo.sizes.includes(size) ? `/photos/${id}/${size}` : null)
  const sizes = { small: url('small'), medium: url('medium'), large: url('large') }
  if (photo.sizes.length === sizeNames.length) return { id, state: 'completed', sizes }
  const job = jobs.find((one) => one !== undefined && one.state !== 'completed')
  if (job !== undefined) {
    const error = job.error?.message
    return { id, state: job.state, ...(error !== undefined && { error }), sizes }
  }
  const error = photo.refusal ?? 'The server stopped before the thumbnails were done. Upload the photo again.'
  return { id, state: 'failed', error, sizes }
}
