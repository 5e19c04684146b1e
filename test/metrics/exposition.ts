/** Reads Prometheus's text format: each series as it is written, with its value. */
export function seriesOf(text: string): Map<string, number> {
  const series = new Map<string, number>()
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue
    const at = line.lastIndexOf(' ')
    const name = line.slice(0, at)
    if (series.has(name)) throw new Error(`The series ${name} is there twice.`)
    series.set(name, Number(line.slice(at + 1)))
  }
  return series
}

/** The series of one metric, by the part in braces. */
export function seriesNamed(text: string, metric: string): Record<string, number> {
  const own = [...seriesOf(text)].filter(([name]) => name.replace(/\{.*/, '') === metric)
  return Object.fromEntries(own.map(([name, value]) => [name.slice(metric.length), value]))
}
