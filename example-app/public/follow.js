/**
 * Follows one job: by server-sent events where it can, by asking every second where it cannot. A browser opens only
 * six connections to one host, so not every job of a long list can have a stream.
 */
const maxStreams = 4
const settled = new Set(['completed', 'failed', 'cancelled', 'expired'])
let streams = 0

/** Whether a job in this state is done with. */
export function isSettled(state) {
  return settled.has(state)
}

/**
 * @param {string} id of the job
 * @param {(status: object | undefined) => void} onStatus called with the whole status at first and whenever it has
 *   changed; with `undefined` when the server does not know the job (it was restarted). Not called after the end.
 */
export function followJob(id, onStatus) {
  const url = `/jobs/${encodeURIComponent(id)}`
  if (typeof EventSource === 'undefined' || streams >= maxStreams) poll(url, onStatus)
  else stream(url, onStatus)
}

function stream(url, onStatus) {
  streams += 1
  const source = new EventSource(`${url}/events`)
  const close = () => {
    streams -= 1
    source.close()
  }
  const take = ({ data }) => {
    const status = JSON.parse(data)
    if (isSettled(status.state)) close()
    onStatus(status)
  }
  source.addEventListener('state', take)
  source.addEventListener('progress', take)
  source.addEventListener('error', () => {
    // While it is connecting the browser tries again by itself; closed means that the server refused.
    if (source.readyState !== EventSource.CLOSED) return
    close()
    poll(url, onStatus)
  })
}

async function poll(url, onStatus) {
  const status = await ask(url)
  if (status === 'unknown') return onStatus(undefined)
  if (status !== 'unreachable') onStatus(status)
  if (status === 'unreachable' || !isSettled(status.state)) setTimeout(poll, 1_000, url, onStatus)
}

async function ask(url) {
  try {
    const response = await fetch(url, { headers: { Accept: 'application/json' } })
    if (response.ok) return await response.json()
    return response.status === 404 ? 'unknown' : 'unreachable'
  } catch {
    return 'unreachable' // the server is restarting, or the network is away: the next try will tell
  }
}
