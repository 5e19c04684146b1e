/**
 * The embedded SQLite database: users, log-ins, the inbox of the demo, photos, reports. The server and every
 * thread open their own connection to the same file; WAL lets them read while one writes, and a writer waits up to five
 * seconds for its turn.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import Sqlite from 'libsql'

export interface User {
  readonly id: string
  readonly name: string
  readonly email: string
  readonly passwordHash: string
  /** The unguessable part of the link in the verification mail. */
  readonly verifyCode: string
}

/** Who is logged in. */
export interface Account {
  readonly id: string
  readonly name: string
  readonly email: string
}

export interface ListedUser {
  readonly name: string
  readonly email: string
  readonly isVerified: boolean
}

export interface Mail {
  /** The same on every attempt to send it, so a mail that arrives twice is kept once. */
  readonly messageId: string
  readonly to: string
  readonly subject: string
  readonly text: string
}

export interface Photo {
  readonly id: string
  /** Why no thumbnails can ever be made of it. */
  readonly refusal: string | undefined
  /** Names of the sizes that are ready. */
  readonly sizes: readonly string[]
}

/** What happened until the night of a day. */
export interface Report {
  /** As `2026-03-08`. */
  readonly day: string
  readonly users: number
  readonly verified: number
  readonly mails: number
  readonly photos: number
}

const schema = `
  create table if not exists users (
    id text primary key, name text not null, email text not null unique collate nocase, password_hash text not null,
    verify_code text not null unique, mailed_at integer, verified_at integer) strict;
  create table if not exists inbox (
    message_id text primary key, recipient text not null, subject text not null, body text not null) strict;
  create table if not exists photos (id text primary key, refusal text) strict;
  create table if not exists photo_owners (
    photo_id text primary key references photos (id) on delete cascade,
    user_id text not null references users (id) on delete cascade) strict;
  create table if not exists photo_sizes (
    photo_id text not null references photos (id) on delete cascade, size text not null,
    primary key (photo_id, size)) strict;
  create table if not exists log_ins (
    token_hash text primary key, user_id text not null references users (id) on delete cascade,
    expires_at integer not null) strict;
  create table if not exists reports (
    day text primary key, users integer not null, verified integer not null, mails integer not null,
    photos integer not null) strict;`

export type Database = ReturnType<typeof openDatabase>

/** Opens (and at first creates) the database in `dataDir`. All methods are synchronous and short. */
export function openDatabase(dataDir: string) {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  const sqlite = new Sqlite(join(dataDir, 'example.db'), { timeout: 5_000 })
  sqlite.exec('pragma journal_mode = wal; pragma synchronous = normal; pragma foreign_keys = on')
  sqlite.exec(schema)
  return {
    ...users(sqlite),
    ...logIns(sqlite),
    ...inbox(sqlite),
    ...photos(sqlite),
    ...reports(sqlite),
    close: () => void sqlite.close(),
  }
}

type Row = Record<string, string | number | null>

function users(sqlite: Sqlite.Database) {
  const insert = sqlite.prepare(
    'insert into users (id, name, email, password_hash, verify_code) values (?, ?, ?, ?, ?) on conflict (email) do nothing',
  )
  const byEmail = sqlite.prepare('select 1 from users where email = ?')
  const byId = sqlite.prepare('select * from users where id = ?')
  const byCode = sqlite.prepare('select id from users where verify_code = ?')
  const remove = sqlite.prepare('delete from users where id = ?')
  const mailed = sqlite.prepare('update users set mailed_at = ? where id = ?')
  const all = sqlite.prepare('select name, email, verified_at from users order by rowid')
  // The first verification counts: following the link again changes nothing.
  const verify = sqlite.prepare(
    'update users set verified_at = coalesce(verified_at, ?) where verify_code = ?',
  )

  return {
    hasUser: (email: string): boolean => byEmail.get(email) !== undefined,
    /** Answers false when the address is taken; the check and the insert are one step. */
    addUser: ({ id, name, email, passwordHash, verifyCode }: User): boolean =>
      insert.run(id, name, email, passwordHash, verifyCode).changes === 1,
    removeUser: (id: string): void => void remove.run(id),
    /** What a mail to this user needs, and whether it has gone out already. */
    recipient(
      id: string,
    ): { name: string; email: string; verifyCode: string; isMailed: boolean } | undefined {
      const row = byId.get(id) as Row | undefined // the columns are those of `schema`
      if (row === undefined) return undefined
      const { name, email, verify_code: verifyCode, mailed_at: mailedAt } = row
      return {
        name: String(name),
        email: String(email),
        verifyCode: String(verifyCode),
        isMailed: mailedAt !== null,
      }
    },
    listUsers: (): ListedUser[] =>
      (all.all() as Row[]).map(({ name, email, verified_at: verifiedAt }) => ({
        name: String(name),
        email: String(email),
        isVerified: verifiedAt !== null,
      })),
    markMailed: (id: string): void => void mailed.run(Date.now(), id),
    /** Answers whether the code is somebody's. */
    verifyUser: (code: string): boolean => verify.run(Date.now(), code).changes === 1,
    /** Whose verify code it is. */
    userOfCode: (code: string): string | undefined => (byCode.get(code) as { id: string } | undefined)?.id,
  }
}

function logIns(sqlite: Sqlite.Database) {
  const insert = sqlite.prepare('insert into log_ins (token_hash, user_id, expires_at) values (?, ?, ?)')
  const removeExpired = sqlite.prepare('delete from log_ins where expires_at <= ?')
  const count = sqlite.prepare('select count(*) as count from log_ins')
  const account = sqlite.prepare(
    `select users.id, name, email from users join log_ins on user_id = users.id
     where token_hash = ? and expires_at > ?`,
  )
  return {
    /** @param tokenHash of the cookie, so that the database alone lets nobody in */
    addLogIn: (tokenHash: string, userId: string, expiresAt: number): void =>
      void insert.run(tokenHash, userId, expiresAt),
    accountOf: (tokenHash: string, now: number): Account | undefined =>
      account.get(tokenHash, now) as Account | undefined, // the columns asked for
    /** Answers how many there were. */
    removeExpiredLogIns: (now: number): number => removeExpired.run(now).changes,
    logInCount: (): number => Number((count.get() as Row)['count']),
  }
}

function reports(sqlite: Sqlite.Database) {
  const write = sqlite.prepare(
    `insert into reports select ?, (select count(*) from users),
       (select count(*) from users where verified_at is not null), (select count(*) from inbox),
       (select count(*) from photos) where true
     on conflict (day) do update set users = excluded.users, verified = excluded.verified, mails = excluded.mails,
       photos = excluded.photos`,
  )
  const latest = sqlite.prepare('select * from reports order by day desc limit 1')
  return {
    /** Counts everything. Writing the report of a day again replaces it. */
    writeReport: (day: string): void => void write.run(day),
    latestReport(): Report | undefined {
      const row = latest.get() as Row | undefined // the columns are those of `schema`
      if (row === undefined) return undefined
      const [users, verified, mails, photos] = ['users', 'verified', 'mails', 'photos'].map((name) =>
        Number(row[name]),
      )
      return {
        day: String(row['day']),
        users: users ?? 0,
        verified: verified ?? 0,
        mails: mails ?? 0,
        photos: photos ?? 0,
      }
    },
  }
}

function inbox(sqlite: Sqlite.Database) {
  const insert = sqlite.prepare(
    'insert into inbox (message_id, recipient, subject, body) values (?, ?, ?, ?) on conflict do nothing',
  )
  const latest = sqlite.prepare('select * from inbox order by rowid desc limit 100')
  const to = sqlite.prepare('select message_id from inbox where recipient = ? collate nocase')
  const remove = sqlite.prepare('delete from inbox where message_id = ?')
  return {
    keepMail: ({ messageId, to, subject, text }: Mail): void => void insert.run(messageId, to, subject, text),
    /** Ids of all mails to this address. */
    mailsTo: (address: string): string[] =>
      (to.all(address) as Row[]).map(({ message_id: id }) => String(id)),
    removeMail: (messageId: string): void => void remove.run(messageId),
    /** The newest hundred, newest first. */
    mails: (): Mail[] =>
      (latest.all() as Row[]).map((row) => ({
        messageId: String(row['message_id']),
        to: String(row['recipient']),
        subject: String(row['subject']),
        text: String(row['body']),
      })),
  }
}

function photos(sqlite: Sqlite.Database) {
  const insert = sqlite.prepare('insert into photos (id) values (?)')
  const own = sqlite.prepare('insert into photo_owners (photo_id, user_id) values (?, ?)')
  const owner = sqlite.prepare(
    'select users.id, name, email from users join photo_owners on user_id = users.id where photo_id = ?',
  )
  const ownedBy = sqlite.prepare('select photo_id from photo_owners where user_id = ?')
  const remove = sqlite.prepare('delete from photos where id = ?')
  const refuse = sqlite.prepare('update photos set refusal = ? where id = ?')
  const byId = sqlite.prepare('select * from photos where id = ?')
  const insertSize = sqlite.prepare(
    'insert into photo_sizes (photo_id, size) values (?, ?) on conflict do nothing',
  )
  const sizesOf = sqlite.prepare('select size from photo_sizes where photo_id = ?')
  return {
    /** @param ownerId of the user who was logged in, if any */
    addPhoto(id: string, ownerId?: string): void {
      insert.run(id)
      if (ownerId !== undefined) own.run(id, ownerId)
    },
    ownerOf: (id: string): Account | undefined => owner.get(id) as Account | undefined, // the columns asked for
    photosOf: (userId: string): string[] =>
      (ownedBy.all(userId) as Row[]).map(({ photo_id: id }) => String(id)),
    removePhoto: (id: string): void => void remove.run(id),
    refusePhoto: (id: string, reason: string): void => void refuse.run(reason, id),
    /** @throws SqliteError when the photo has been removed */
    addSize: (photoId: string, size: string): void => void insertSize.run(photoId, size),
    photo(id: string): Photo | undefined {
      const row = byId.get(id) as Row | undefined // the columns are those of `schema`
      if (row === undefined) return undefined
      const sizes = (sizesOf.all(id) as Row[]).map(({ size }) => String(size))
      return { id, refusal: row['refusal'] === null ? undefined : String(row['refusal']), sizes }
    },
  }
}
