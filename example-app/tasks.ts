/**
 * The work beside the requests. The server imports this module for names and types, every thread imports it for the
 * code; so it must not import the server, and it opens nothing until a job needs it.
 */
import { defineTask, PermanentError } from 'sidework'
import { openDatabase, type Database } from './database.js'
import { createMailer, MailRefusedError, type Mailer, type OutgoingMail } from './mailer.js'
import {
  checkPhoto,
  makeSize,
  NotAPhotoError,
  originalFile,
  photoFolder,
  removeOriginal,
  removeSize,
  sizeFile,
  sizeNames,
  type PhotoSize,
} from './photos.js'
import { drawReport, removeOldReports, reportFile, reportFolder } from './reports.js'
import { readSettings } from './settings.js'

/** Twenty attempts with at most five seconds between them live through more than a minute without a mail server. */
const mailing = {
  lane: 'io',
  attempts: 20,
  backoff: { type: 'exponential', delay: '1s', max: '5s' },
  timeout: '15s',
} as const

/** Sends the mail with the verify link. The payload names the user; what the mail says is looked up when it is sent. */
export const sendVerificationMail = defineTask(
  'send-verification-mail',
  async ({ userId }: { userId: string }, { id, signal, log }) => {
    const user = tools().database.recipient(userId)
    if (user === undefined) throw new PermanentError(`There is no user ${userId}.`)
    // An earlier attempt may have sent it and been lost before it could say so.
    if (user.isMailed) return
    const mail = verificationMail(id, user)
    await tools().mailer.send(mail, { signal }).catch(giveUpIf(MailRefusedError))
    tools().database.markMailed(userId)
    log.info({ userId }, 'verification mail sent')
  },
  { ...mailing, dedupe: ({ userId }) => userId },
)

const pictures = {
  lane: 'cpu',
  attempts: 3,
  backoff: { type: 'exponential', delay: '1s', max: '5s' },
  timeout: '1m',
} as const

/** Makes the large picture of an upload, of which the thumbnails are cut; what is no photo is refused here. */
export const resizePhoto = defineTask(
  'resize-photo',
  async ({ photoId }: { photoId: string }) => {
    const { database, folder } = tools()
    try {
      await checkPhoto(originalFile(folder, photoId))
      await addSize(photoId, 'large')
    } catch (error) {
      if (error instanceof NotAPhotoError) database.refusePhoto(photoId, error.message)
      giveUpIf(NotAPhotoError)(error)
    }
  },
  pictures,
)

/** Cuts one thumbnail of the large picture. */
export const makeThumbnail = defineTask(
  'make-thumbnail',
  ({ photoId, size }: { photoId: string; size: 'small' | 'medium' }) =>
    addSize(photoId, size, sizeFile(tools().folder, photoId, 'large')),
  pictures,
)

/** A photo may be deleted while its pictures are made; then nothing of it may stay behind. */
async function addSize(photoId: string, size: PhotoSize, from?: string): Promise<void> {
  const { database, folder } = tools()
  await makeSize(folder, photoId, size, from)
  try {
    database.addSize(photoId, size)
  } catch (error) {
    await removeSize(folder, photoId, size)
    throw error
  }
}

/** Writes to whom the photo belongs that its thumbnails are there. Without an owner there is nobody to tell. */
export const notifyOwner = defineTask(
  'notify-owner',
  async ({ photoId }: { photoId: string }, { id, signal }) => {
    const owner = tools().database.ownerOf(photoId)
    if (owner === undefined) return
    const mail = {
      messageId: messageIdOf(id),
      to: { name: owner.name, address: owner.email },
      subject: 'Your photo is ready',
      text: `Hello ${owner.name},\n\nyour photo is ready:\n${tools().publicUrl}/photos/${photoId}/large\n`,
    }
    await tools().mailer.send(mail, { signal }).catch(giveUpIf(MailRefusedError))
  },
  mailing,
)

/** Deletes one thing of somebody's: a photo with its files, or a mail. What is gone already is no error. */
export const eraseItem = defineTask(
  'erase-item',
  async (item: { photoId: string } | { messageId: string }) => {
    const { database, folder } = tools()
    if ('messageId' in item) return database.removeMail(item.messageId)
    // The row first: whoever makes a picture meanwhile then removes it (see `addSize`).
    database.removePhoto(item.photoId)
    await removeOriginal(folder, item.photoId)
    for (const size of sizeNames) await removeSize(folder, item.photoId, size)
  },
  // One after another: a large account leaves the disk to others, and nobody waits for it.
  { lane: 'io', attempts: 5, backoff: { type: 'exponential', delay: '1s' }, concurrency: 1 },
)

/** The end of an account: the user goes when everything of theirs has gone. */
export const closeAccount = defineTask(
  'close-account',
  ({ userId }: { userId: string }, { results }) => {
    const { failed, total } = results.batch
    if (failed > 0) throw new PermanentError(`${failed} of ${total} items could not be deleted.`)
    tools().database.removeUser(userId)
  },
  { lane: 'io', attempts: 5, backoff: { type: 'exponential', delay: '1s' } },
)

/**
 * Counts what there is, for the day on which the schedule fired. The day comes from the schedule, not from the clock: a
 * run that is late, or is tried again after midnight, still writes the report it was meant to write.
 */
export const writeNightlyReport = defineTask(
  'write-nightly-report',
  ({ timeZone }: { timeZone: string }, { schedule, log }) => {
    const firedFor = schedule?.firedFor ?? Date.now()
    const day = new Intl.DateTimeFormat('en-CA', { timeZone, dateStyle: 'short' }).format(firedFor)
    tools().database.writeReport(day)
    log.info({ day }, 'report written')
    return { day }
  },
  { lane: 'io', attempts: 5, backoff: { type: 'exponential', delay: '10s' } },
)

/** Log-ins that are over let nobody in any more; this only frees their rows. */
export const removeExpiredLogIns = defineTask(
  'remove-expired-log-ins',
  (_payload: undefined, { log }) => {
    const removed = tools().database.removeExpiredLogIns(Date.now())
    log.info({ removed }, 'expired log-ins removed')
    return { removed }
  },
  { lane: 'io', attempts: 1 },
)

const reportsKeptMs = 24 * 60 * 60 * 1000

/** A report can be fetched for a day. */
export const removeReports = defineTask(
  'remove-reports',
  async (_payload: undefined, { log }) => {
    const removed = await removeOldReports(tools().reports, Date.now() - reportsKeptMs)
    log.info({ removed }, 'old reports removed')
    return { removed }
  },
  { lane: 'io', attempts: 1 },
)

/** Makes a PDF of all users, and says after each how far it is. */
export const makeReport = defineTask(
  'make-report',
  async ({ reportId }: { reportId: string }, { signal, progress, yieldNow }) => {
    const { database, reports } = tools()
    const users = database.listUsers()
    await drawReport(reportFile(reports, reportId), users, async (count) => {
      signal.throwIfAborted()
      progress({ ratio: count / users.length, message: `${count} of ${users.length} users` })
      await yieldNow()
    })
    return { users: users.length }
  },
  { lane: 'cpu', attempts: 3, backoff: { type: 'exponential', delay: '1s', max: '5s' }, timeout: '1m' },
)

function verificationMail(
  jobId: string,
  user: { name: string; email: string; verifyCode: string },
): OutgoingMail {
  return {
    messageId: messageIdOf(jobId),
    to: { name: user.name, address: user.email },
    subject: 'Please verify your email address',
    text: `Hello ${user.name},\n\nplease follow this link to verify your address:\n${tools().publicUrl}/verify/${user.verifyCode}\n`,
  }
}

/** The same on every attempt of a job. */
function messageIdOf(jobId: string): string {
  return `<${jobId}@sidework.example>`
}

/** Rethrows; errors of this class as one that is not retried. */
function giveUpIf(hopeless: new (message: string) => Error): (error: unknown) => never {
  return (error) => {
    throw error instanceof hopeless ? new PermanentError(error.message, { cause: error }) : error
  }
}

interface Tools {
  readonly database: Database
  readonly mailer: Mailer
  readonly folder: string
  readonly reports: string
  readonly publicUrl: string
}

let opened: Tools | undefined

/** Each thread has its own, opened by its first job. */
function tools(): Tools {
  return (opened ??= openTools())
}

function openTools(): Tools {
  const { dataDir, smtpPort, publicUrl } = readSettings()
  return {
    database: openDatabase(dataDir),
    mailer: createMailer(smtpPort),
    folder: photoFolder(dataDir),
    reports: reportFolder(dataDir),
    publicUrl,
  }
}
