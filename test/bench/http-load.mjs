/**
 * The load generator, a process of its own. It writes requests to bare sockets and counts bytes, which costs about a
 * tenth of what a server spends on them, and runs at higher priority where it may: on another machine it would not
 * compete either.
 *
 * `closed`: so many connections, each sends its next request when it has the answer: as fast as the server can.
 * `open`: requests at random instants (Poisson), so many per second on average, whether or not the server keeps up;
 * each takes a free connection or a new one. A request's time runs from its write to the last byte of its answer.
 *
 * Its first message is `{ port, kind, connections | perSecond, warmUpMs, measuredMs }`. It tells `measuring` after the
 * warm-up and `{ done, timesMs }` at the end: how many were answered, and their times with those of the unanswered.
 */
import net from 'node:net'
import os from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'

const request = Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
const favoured = -10

process.once('message', (order) => void run(order))

async function run(order) {
  raisePriority()
  const load = order.kind === 'closed' ? new ClosedLoad(order) : new OpenLoad(order)
  load.start()
  await sleep(order.warmUpMs)
  process.send('measuring')
  load.timesMs.length = 0
  await sleep(order.measuredMs)
  const timesMs = load.timesMs.slice()
  const unanswered = load.stop()
  process.send({ done: timesMs.length, timesMs: [...timesMs, ...unanswered] }, () => process.exit())
}

function raisePriority() {
  try {
    os.setPriority(favoured)
  } catch {
    // Only the superuser may; the generator then competes like any other process.
  }
}

/** Keep-alive connection with one request at a time. */
class Connection {
  #socket
  #head = ''
  #answerBytes = 0
  #missingBytes = 0
  #onAnswer
  sentAt = 0

  constructor(port, onAnswer) {
    this.#onAnswer = onAnswer
    this.#socket = net.connect({ port, host: '127.0.0.1', noDelay: true })
    this.#socket.on('data', (chunk) => this.#read(chunk))
    this.#socket.on('error', (error) => {
      throw error
    })
  }

  send() {
    this.sentAt = performance.now()
    this.#missingBytes = this.#answerBytes
    this.#socket.write(request)
  }

  /** All answers are alike: the first one tells their length. */
  #read(chunk) {
    if (this.#answerBytes === 0) {
      this.#head += chunk.toString('latin1')
      const end = this.#head.indexOf('\r\n\r\n')
      if (end < 0) return
      this.#answerBytes = end + 4 + Number(/content-length: (\d+)/i.exec(this.#head)[1])
      if (!this.#head.startsWith('HTTP/1.1 200 ')) throw new Error(this.#head.slice(0, end))
      this.#missingBytes = this.#answerBytes - this.#head.length
    } else this.#missingBytes -= chunk.length
    if (this.#missingBytes < 0) throw new Error('An answer is longer than the first one.')
    if (this.#missingBytes === 0) this.#onAnswer(this, performance.now() - this.sentAt)
  }
}

class ClosedLoad {
  timesMs = []
  #order

  constructor(order) {
    this.#order = order
  }

  start() {
    const next = (connection, tookMs) => {
      this.timesMs.push(tookMs)
      connection.send()
    }
    for (let n = 0; n < this.#order.connections; n++) new Connection(this.#order.port, next).send()
  }

  stop() {
    return []
  }
}

class OpenLoad {
  timesMs = []
  #order
  #free = []
  #busy = new Set()
  #nextAt = 0

  constructor(order) {
    this.#order = order
  }

  start() {
    this.#nextAt = performance.now()
    setInterval(() => this.#sendDue(), 1)
  }

  /** What is still unanswered counts with the time it has taken so far: it must not vanish from the percentiles. */
  stop() {
    const now = performance.now()
    return [...this.#busy].map(({ sentAt }) => now - sentAt)
  }

  #sendDue() {
    const now = performance.now()
    for (
      ;
      this.#nextAt <= now;
      this.#nextAt += (-Math.log(1 - Math.random()) * 1_000) / this.#order.perSecond
    ) {
      const connection =
        this.#free.pop() ?? new Connection(this.#order.port, (done, tookMs) => this.#answered(done, tookMs))
      this.#busy.add(connection)
      connection.send()
    }
  }

  #answered(connection, tookMs) {
    this.timesMs.push(tookMs)
    this.#busy.delete(connection)
    this.#free.push(connection)
  }
}
