import { readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { flowMutants } from './flow-mutants.js'
import { mutants } from './mutants.js'
import { tableRows } from '../fixtures/markdown.js'

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

it('README.md says of every mutant what it is caught by', () => {
  const readme = readFileSync(new URL('README.md', import.meta.url), 'utf8')
  const listed = tableRows(readme, 'caught by').flatMap(([, names = '']) => names.split('; '))
  expect(listed.sort()).toEqual(mutants.map(({ name }) => name).sort())
})
