/** How jobs are offered: the payload, and the two ways to keep a contender busy without drowning it. */
import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises'

/** Jobs offered in one turn of the event loop by `offerInTurns`. */
export const perTurn = 5_000
const mostOutstanding = 50_000
const keptOutstanding = 1_000

/** Job number n: about 30 characters of JSON. */
export function payloadOf(n) {
  return { userId: 'user_123', n }
}

/**
 * Offers `count` payloads, 5,000 per turn of the event loop while fewer than 50,000 are outstanding, so that a
 * contender is measured in its steady state. Waiting costs one timer per millisecond, not a spinning loop.
 */
export async function offerInTurns(count, offer, outstanding, makePayload = payloadOf) {
  for (let next = 0; next < count;) {
    if (outstanding() >= mostOutstanding) {
      await delay(1)
      continue
    }
    const end = Math.min(next + perTurn, count)
    while (next < end) offer(makePayload(next++))
    await nextTurn()
  }
}

/** Runs `count` jobs with 1,000 outstanding; each is only counted when done, nobody uses its answer. */
export function keepOffering(count, run, makePayload = payloadOf) {
  return new Promise((resolve, reject) => {
    let next = 0
    let done = 0
    const offer = () => void run(makePayload(next++)).then(settled, reject)
    const settled = () => {
      if (++done === count) resolve()
      else if (next < count) offer()
    }
    while (next < Math.min(count, keptOutstanding)) offer()
  })
}

/**
 * Runs `count` jobs, 1,000 outstanding, awaits the promise of each and adds up the answers.
 * @throws Error when an answer is missing or wrong: a fast wrong contender is no contender
 */
export async function awaitEach(count, run) {
  let next = 0
  let sum = 0
  const caller = async () => {
    while (next < count) {
      const answer = await run(payloadOf(next++))
      sum += answer
    }
  }
  await Promise.all(Array.from({ length: keptOutstanding }, caller))
  const expected = (count * (count - 1)) / 2
  if (sum !== expected)
    throw new Error(`The answers of ${count} jobs add up to ${sum} instead of ${expected}.`)
}
