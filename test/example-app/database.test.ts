import { Worker } from 'node:worker_threads'
import { once } from 'node:events'
import { describe, expect, onTestFinished, test } from 'vitest'
import { openDatabase, type Mail, type User } from '../../example-app/database.js'
import { temporaryFolder } from './temporary-folder.js'

function open(folder = temporaryFolder()) {
  const database = openDatabase(folder)
  onTestFinished(() => database.close())
  return database
}

const user = (overrides: Partial<User> = {}): User => ({
  id: 'user-1',
  name: 'Asha',
  email: 'asha@example.com',
  passwordHash: 'scrypt$salt$hash',
  verifyCode: 'code-1',
  ...overrides,
})

const mail = (overrides: Partial<Mail> = {}): Mail => ({
  messageId: '<job-1@sidework.example>',
  to: 'asha@example.com',
  subject: 'Hello',
  text: 'Hello Asha',
  ...overrides,
})

describe('users', () => {
  test('an address can be taken once, whatever its capitals', () => {
    const database = open()
    expect(database.addUser(user())).toBe(true)
    expect(database.addUser(user({ id: 'user-2', verifyCode: 'code-2', email: 'ASHA@Example.com' }))).toBe(
      false,
    )
    expect(database.hasUser('Asha@EXAMPLE.com')).toBe(true)
    expect(database.recipient('user-2')).toBeUndefined()
  })

  test('a removed user frees the address', () => {
    const database = open()
    database.addUser(user())
    database.removeUser('user-1')
    expect(database.hasUser('asha@example.com')).toBe(false)
    expect(database.addUser(user({ id: 'user-2' }))).toBe(true)
  })

  test('a link verifies as often as it is followed, an unknown one never', () => {
    const database = open()
    database.addUser(user())
    expect(database.verifyUser('code-1')).toBe(true)
    expect(database.verifyUser('code-1')).toBe(true)
    expect(database.verifyUser('code-2')).toBe(false)
  })

  test('it is known whether the mail has gone out', () => {
    const database = open()
    database.addUser(user())
    expect(database.recipient('user-1')).toEqual({
      name: 'Asha',
      email: 'asha@example.com',
      verifyCode: 'code-1',
      isMailed: false,
    })
    database.markMailed('user-1')
    expect(database.recipient('user-1')?.isMailed).toBe(true)
  })
})

describe('inbox', () => {
  test('shows the newest mail first and a mail that came twice once', () => {
    const database = open()
    database.keepMail(mail())
    database.keepMail(mail({ messageId: '<job-2@sidework.example>', subject: 'Later' }))
    database.keepMail(mail({ text: 'again' }))
    expect(database.mails().map(({ subject, text }) => [subject, text])).toEqual([
      ['Later', 'Hello Asha'],
      ['Hello', 'Hello Asha'],
    ])
  })
})

describe('photos', () => {
  test('sizes add up, each once', () => {
    const database = open()
    database.addPhoto('photo-1')
    for (const size of ['small', 'medium', 'small']) database.addSize('photo-1', size)
    expect(database.photo('photo-1')).toEqual({
      id: 'photo-1',
      refusal: undefined,
      sizes: ['medium', 'small'],
    })
    expect(database.photo('photo-2')).toBeUndefined()
  })

  test('a refused photo tells why', () => {
    const database = open()
    database.addPhoto('photo-1')
    database.refusePhoto('photo-1', 'This is a text.')
    expect(database.photo('photo-1')?.refusal).toBe('This is a text.')
  })
})

test('what one thread writes, the others see', async () => {
  const folder = temporaryFolder()
  const database = open(folder)
  const code = `
    const { workerData } = require('node:worker_threads')
    const Sqlite = require('libsql')
    const sqlite = new Sqlite(workerData, { timeout: 5000 })
    sqlite.exec("insert into photos (id) values ('from-thread')")
    sqlite.close()`
  const [exitCode] = (await once(
    new Worker(code, { eval: true, workerData: `${folder}/example.db` }),
    'exit',
  )) as [number]
  expect(exitCode).toBe(0)
  expect(database.photo('from-thread')).toBeDefined()
})

test('what is stored survives a restart', () => {
  const folder = temporaryFolder()
  const first = openDatabase(folder)
  first.addUser(user())
  first.close()
  expect(open(folder).hasUser('asha@example.com')).toBe(true)
})
