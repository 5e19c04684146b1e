import { readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { flowMutants } from './flow-mutants.js'
import { mutants } from './mutants.js'

const sources = fileURLToPath(new URL('../../src', import.meta.url))

it('every mutant changes exactly one place of the sources', () => {
  const all = [...mutants, ...flowMutants]
  const places = all.map(({ name, file, find }) => {
    const source = readFileSync(path.join(sources, file), 'utf8')
    return [name, source.split(find).length - 1]
  })
  expect(places.filter(([, count]) => count !== 1)).toEqual([])
  expect(new Set(all.map(({ name }) => name)).size).toBe(all.length)
})
