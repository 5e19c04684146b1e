import { expect, it } from 'vitest'
import { setUp } from '../../src/threads/module-hooks.js'

it.each([
  [new TypeError('no connection'), 'TypeError: no connection'],
  [Object.create(null) as object, 'an object was thrown'],
  ['no', "'no' was thrown"],
])('a setup() that throws %o is told with its file', async (thrown, told) => {
  const setup = (): never => {
    throw thrown
  }
  await expect(
    setUp([{ url: 'file:///app/tasks.js', exports: { setup } }], () => undefined),
  ).rejects.toMatchObject({
    message: `setup() of /app/tasks.js failed: ${told}`,
    cause: thrown,
  })
})
