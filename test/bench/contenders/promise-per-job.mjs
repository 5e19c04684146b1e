/** What a queue pays that makes a promise for every job: a record with the payload's JSON, the promise and its ends. */
export async function fill() {
  const waiting = []
  return {
    add: (payload) => waiting.push(recordOf(JSON.stringify(payload))),
    size: () => waiting.length,
  }
}

function recordOf(payload) {
  let ends
  const promise = new Promise((resolve, reject) => (ends = { resolve, reject }))
  return { payload, promise, resolve: ends.resolve, reject: ends.reject }
}
