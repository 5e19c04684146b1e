/** Every link between the documents leads somewhere: to a file that is there, and to a heading that it has. */
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { expect, it } from 'vitest'
import { packageRoot } from './fixtures/loader/project.js'

const documents = ['README.md', 'CHANGELOG.md', ...markdownIn('src'), ...markdownIn('example-app'), ...markdownIn('test')] // prettier-ignore

function markdownIn(folder: string): string[] {
  return readdirSync(join(packageRoot, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.md') && !file.includes('node_modules'))
    .map((file) => `${folder}/${file.replaceAll('\\', '/')}`)
}

const textOf = (document: string): string => readFileSync(join(packageRoot, document), 'utf8')
const withoutCode = (text: string): string =>
  text.replace(/^\s*```[^]*?^\s*```/gm, '').replace(/`[^`\n]*`/g, '')

function linksIn(document: string): string[] {
  return [...withoutCode(textOf(document)).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link)
}

/** The names by which GitHub and npm know a document's headings. */
function anchorsOf(document: string): string[] {
  const headings = textOf(document)
    .replace(/^\s*```[^]*?^\s*```/gm, '')
    .matchAll(/^#+ (.*)$/gm)
  return [...headings].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

it.each(documents)('the links of %s lead to what is there', (document) => {
  const broken = linksIn(document).filter((link) => {
    if (/^https?:/.test(link)) return false
    const [path = '', anchor] = link.split('#')
    const target = path === '' ? document : relative(packageRoot, join(packageRoot, dirname(document), path))
    if (!existsSync(join(packageRoot, target))) return true
    return anchor !== undefined && !anchorsOf(target).includes(anchor)
  })
  expect(broken).toEqual([])
})

it('documents of the package link to nothing that is not in it', () => {
  const { files } = JSON.parse(textOf('package.json')) as { files: string[] }
  const packed = documents.filter((document) => files.includes(document.split('/')[0] ?? ''))
  expect(packed.length).toBeGreaterThan(10)
  const leading = packed.flatMap((document) =>
    linksIn(document)
      .filter((link) => !/^(https?:|#)/.test(link))
      .map((link) => relative(packageRoot, join(packageRoot, dirname(document), link.split('#')[0] ?? '')))
      .filter((target) => !files.includes(target.split(sep)[0] ?? ''))
      .map((target) => `${document} → ${target}`),
  )
  expect(leading).toEqual([])
})

it('the documents are found, and so are their headings', () => {
  expect(documents.length).toBeGreaterThan(12)
  expect(anchorsOf('README.md')).toContain('what-threads-protect-you-from')
})
