import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, it } from 'vitest'
import { resolveTaskModules, taskModuleUrls } from '../../src/threads/task-modules.js'
import { Project } from '../fixtures/loader/project.js'

const missing = '/nowhere/tasks.js'

describe('reading the tasks option', () => {
  it('touches no file', () => {
    expect(taskModuleUrls(missing)).toEqual([pathToFileURL(missing).href])
  })

  it('takes a URL, a file: URL in a string, and a path relative to the working directory', () => {
    const href = pathToFileURL(missing).href
    expect(taskModuleUrls([new URL(href), href, missing, './tasks.js'])).toEqual([
      href,
      pathToFileURL(join(process.cwd(), 'tasks.js')).href,
    ])
  })

  it('takes no task modules at all, for schedulers with main-lane tasks only', () => {
    expect([taskModuleUrls(undefined), taskModuleUrls([])]).toEqual([[], []])
  })

  it('takes a path with blanks, percent signs and hashes', () => {
    expect(taskModuleUrls('/my app/100%/#1/tasks.js')).toEqual(['file:///my%20app/100%25/%231/tasks.js'])
  })

  it.each([
    ['http://localhost/tasks.js', /^tasks is 'http:\/\/localhost\/tasks\.js'\. Give new URL/],
    ['data:text/javascript,1', /^tasks is 'data:/],
    [new URL('https://example.org/tasks.js'), /^tasks is 'https:/],
    ['file://server/share/tasks.js', /^tasks is 'file:\/\/server\/share\/tasks\.js'\. Give/],
    [new URL('file:///app%2Ftasks.js'), /^tasks is 'file:\/\/\/app%2Ftasks\.js'\. Give/],
    ['', /^tasks is ''\. Give/],
    [7, /^tasks is 7\. Give/],
    [null, /^tasks is null\. Give/],
    [['./tasks.js', {}], /^tasks is an object\. Give/],
  ])('refuses %j', (tasks, message) => {
    // @ts-expect-error -- what a program without types may pass
    const read = () => taskModuleUrls(tasks)
    expect(read).toThrow(
      expect.objectContaining({ code: 'ERR_SIDEWORK_OPTION', message: expect.stringMatching(message) }),
    )
  })
})

describe('finding the task modules on disk', () => {
  it.each([
    ['tasks.js', ['tasks.js', 'tasks.ts'], 'tasks.js'],
    ['tasks.js', ['tasks.ts', 'tasks.tsx'], 'tasks.ts'],
    ['tasks.js', ['tasks.tsx'], 'tasks.tsx'],
    ['tasks.mjs', ['tasks.mts'], 'tasks.mts'],
    ['tasks.cjs', ['tasks.cts'], 'tasks.cts'],
    ['tasks.ts', ['tasks.ts'], 'tasks.ts'],
  ])('%s with %j on disk is %s', (asked, files, found) => {
    using app = new Project(Object.fromEntries(files.map((file) => [file, ''])))
    const url = (file: string) => pathToFileURL(join(app.folder, file)).href
    expect(resolveTaskModules(url(asked))).toEqual([url(found)])
  })

  it('finds a module once that is named by its compiled and by its source name', () => {
    using app = new Project({ 'tasks.ts': '' })
    expect(resolveTaskModules([join(app.folder, 'tasks.js'), join(app.folder, 'tasks.ts')])).toHaveLength(1)
  })

  it("keeps a URL's query", () => {
    using app = new Project({ 'tasks.ts': '' })
    const href = pathToFileURL(join(app.folder, 'tasks.js')).href
    expect(resolveTaskModules(`${href}?v=1`)).toEqual([`${href.replace(/js$/, 'ts')}?v=1`])
  })

  it.each([
    ['tasks.js', 'is not a file, nor is tasks.ts or tasks.tsx beside it.'],
    ['tasks.mjs', 'is not a file, nor is tasks.mts beside it.'],
    ['tasks.ts', 'is not a file. Did you mean {folder}/tasks.cts? Give'],
    ['tasks', 'is not a file. Did you mean {folder}/tasks.cts? Give'],
    ['jobs', 'is not a file. Did you mean {folder}/jobs/index.js? Give'],
    [
      'nowhere.mts',
      "is not a file. Give new URL('./tasks.js', import.meta.url), in CommonJS path.join(__dirname, 'tasks.js'),",
    ],
  ])('a missing %s is an error that names the path and what to do', (file, message) => {
    using app = new Project({ 'tasks.cts': '' })
    mkdirSync(join(app.folder, 'jobs'))
    writeFileSync(join(app.folder, 'jobs', 'index.js'), '')
    const path = join(app.folder, file)
    const find = () => resolveTaskModules(path)
    expect(find).toThrow(expect.objectContaining({ code: 'ERR_SIDEWORK_OPTION' }))
    expect(find).toThrow(`The task module ${path} ${message.replace('{folder}', app.folder)}`)
    expect(find).toThrow(`The working directory is ${process.cwd()}.`)
  })

  it('a folder is not a task module', () => {
    using app = new Project({})
    mkdirSync(join(app.folder, 'tasks'))
    expect(() => resolveTaskModules(join(app.folder, 'tasks'))).toThrow('is not a file')
  })
})
