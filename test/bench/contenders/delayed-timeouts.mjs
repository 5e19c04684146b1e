/** A `setTimeout` for each. */
export function start(onDue) {
  return { add: (record, delayMs) => void setTimeout(onDue, delayMs, record) }
}
