// The visitors of the soak, in a process of their own: requests at random instants, so many a second on average, each
// one of the kinds below; some follow their job's events and leave when they like. Told `{ url, perSecond, forMs }`, it
// tells `{ answered: ID[] }` as it goes and `{ end: … }` when the last has left.
import http from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

const agent = new http.Agent({ keepAlive: true, maxSockets: 200 })
const counts = {}
const count = (what) => (counts[what] = (counts[what] ?? 0) + 1)
const below = (n) => Math.floor(Math.random() * n)
let url
let answered = []

/** What came back, read to its end. */
function ask(method, path, body, headers = {}) {
  return new Promise((resolve, reject) => {
    const type = body === undefined ? {} : { 'content-type': 'application/json' }
    const request = http.request(
      url + path,
      { method, agent, headers: { ...type, ...headers } },
      (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (chunk) => (text += chunk))
        response.on('end', () => resolve({ status: response.statusCode, text }))
      },
    )
    request.on('error', reject)
    request.end(body === undefined ? undefined : JSON.stringify(body))
  })
}

/** The id of the job that was accepted, or undefined. */
async function post(path, body, headers) {
  const id = await postFlow(path, body, headers)
  if (id !== undefined) answered.push(id)
  return id
}

/** The id of the flow that was accepted. It is no job's, so the accounts do not know it. */
async function postFlow(path, body, headers) {
  const { status, text } = await ask('POST', path, body, headers)
  count(`${status}`)
  return status === 202 ? JSON.parse(text).id : undefined
}

/** Follows the events of a job: to the end, for a while, or without ever reading. */
async function follow(id, how) {
  if (id === undefined) return
  count(`streams ${how}`)
  await new Promise((resolve) => {
    const request = http.get(`${url}/jobs/${id}/events`, { agent: false }, (response) => {
      if (how !== 'that never read') response.resume()
      response.on('close', resolve).on('error', () => undefined) // it left, as told
      if (how !== 'to the end') setTimeout(() => response.destroy(), below(500))
    })
    request.on('error', resolve)
  })
}

const job = (task, payload, options) => post(`/jobs-of/${task}`, { payload, options })
const kinds = [
  [20, () => job('hash', { rounds: 500 + below(1500) })],
  [6, () => post('/bytes', { length: below(50_000) }).then((id) => follow(id, 'to the end'))],
  [3, () => post('/bytes', { length: 1000 }).then((id) => follow(id, 'that leave'))],
  [1, () => post('/bytes', { length: 1000 }).then((id) => follow(id, 'that never read'))],
  [6, () => job('flaky')],
  [16, () => job('mail', { waitMs: below(40) }, { priority: below(10) })],
  [12, () => job('sync', { waitMs: below(20), customer: below(40) })],
  [4, () => job('polls', { times: 3 })],
  [3, () => job('parent', { children: 2 })],
  [6, () => job('reindex', { shop: `shop ${below(5)}` }, { delay: below(50) })],
  [10, () => job('note')],
  [4, () => job('tidy')],
  [4, () => post('/closure')],
  [3, () => post('/once', {}, { 'idempotency-key': `key-${below(200)}` })],
  [3, () => post(`/held/${Math.random() < 0.5 ? 201 : 500}`)],
  [3, () => postFlow('/chain').then((id) => follow(id, 'to the end'))],
  [1, () => postFlow('/batch', { length: below(10) }).then((id) => follow(id, 'to the end'))],
  [3, async () => {
    const id = await job('mail', { waitMs: 500 }, { expiresIn: '5s' })
    await sleep(below(200))
    if (id !== undefined) count(`DELETE ${(await ask('DELETE', `/jobs/${id}`)).status}`)
  }],
  [1, () => job('hash', { rounds: 1 }, { delay: 3_000, expiresIn: 1 })],
  [1, () => ask('GET', '/metrics')],
] // prettier-ignore
const misbehaviour = [
  [1, () => job('cpu-crashes', { way: below(3), always: Math.random() < 0.5 })],
  [1, () => job('io-crashes', { way: below(3), always: Math.random() < 0.5 })],
  [1, () => job('cpu-hangs')],
  [0.8, () => job('io-hangs')],
  [0.2, () => job('io-spins')],
]
/** 1 % of the jobs crash and 1 % hang. A request is 1.3 jobs on average, since some defer several. */
const misbehavingRequests = 0.02 * 1.3

function pick(weighted) {
  const total = weighted.reduce((sum, [weight]) => sum + weight, 0)
  let at = Math.random() * total
  return weighted.find(([weight]) => (at -= weight) < 0)?.[1] ?? weighted[0][1]
}

process.once('message', async (order) => {
  url = order.url
  const visits = new Set()
  const telling = setInterval(tell, 100)
  const endAt = performance.now() + order.forMs
  for (let nextAt = performance.now(); nextAt < endAt;) {
    const visit = pick(Math.random() < misbehavingRequests ? misbehaviour : kinds)()
    visits.add(visit)
    visit.catch((error) => count(`error ${error.code ?? error.message}`)).finally(() => visits.delete(visit))
    nextAt += (-Math.log(1 - Math.random()) * 1_000) / order.perSecond
    const waitMs = nextAt - performance.now()
    if (waitMs > 1) await sleep(waitMs)
  }
  await Promise.allSettled(visits)
  clearInterval(telling)
  agent.destroy()
  tell()
  process.send({ end: { counts } }, () => process.exit())
})

function tell() {
  if (answered.length > 0) process.send({ answered })
  answered = []
}
