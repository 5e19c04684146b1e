/** The metrics of the table as prom-client knows metrics. Each is filled when it is scraped, and holds nothing meanwhile. */
import {
  Counter,
  Gauge,
  Histogram,
  type MetricObjectWithValues,
  type MetricValueWithName,
  type OpenMetricsContentType,
  type Registry,
} from 'prom-client'
import type { Durations, Figures } from './figures.js'
import type { HistogramMetric, Metric, PlainMetric, Sample } from './metric-table.js'

/** A registry, whichever of the two formats it speaks. */
export type AnyRegistry = Registry | Registry<OpenMetricsContentType>

/**
 * Registers the metric.
 * @param figures the figures of the scrape that goes on
 * @throws Error when the registry has a metric of this name
 */
export function register(
  metric: Metric,
  registry: AnyRegistry,
  bounds: readonly number[],
  figures: () => Figures,
): void {
  if (metric.type === 'histogram') new TalliedHistogram(metric, registry, bounds, figures)
  else registerPlain(metric, registry, figures)
}

function registerPlain(metric: PlainMetric, registry: AnyRegistry, figures: () => Figures): void {
  const { name, help, labels, type } = metric
  const configuration = { name, help, labelNames: [...labels], registers: [registry] }
  const samples = (): Iterable<Sample<number>> => metric.read(figures())
  if (type === 'gauge') {
    new Gauge({
      ...configuration,
      collect() {
        this.reset()
        for (const [value, ...values] of samples()) this.set(labelled(labels, values), value)
      },
    })
  } else {
    new Counter({
      ...configuration,
      collect() {
        this.reset()
        for (const [value, ...values] of samples()) this.inc(labelled(labels, values), value)
      },
    })
  }
}

type Values = MetricObjectWithValues<MetricValueWithName<string>>

/** A histogram of what was tallied elsewhere: prom-client's own can only be given one observation at a time. */
class TalliedHistogram extends Histogram {
  readonly #metric: HistogramMetric
  readonly #bounds: readonly string[]
  readonly #figures: () => Figures

  constructor(
    metric: HistogramMetric,
    registry: AnyRegistry,
    bounds: readonly number[],
    figures: () => Figures,
  ) {
    const { name, help, labels } = metric
    super({ name, help, labelNames: [...labels], buckets: [...bounds], registers: [registry] })
    this.#metric = metric
    this.#bounds = [...bounds.map(String), '+Inf']
    this.#figures = figures
  }

  override get(): Promise<Values> {
    const { name, help, labels } = this.#metric
    const values = Array.from(this.#metric.read(this.#figures()), ([durations, ...own]) =>
      this.#series(name, durations, labelled(labels, own)),
    )
    return Promise.resolve({
      name,
      help,
      type: 'histogram',
      values: values.flat(),
      aggregator: 'sum',
    } as unknown as Values) // the type's own name is an enum that exists in types only
  }

  /** What the registry asks for when it is there, for speed. */
  getForPromString(): Promise<Values> {
    return this.get()
  }

  #series(name: string, { counts, sumSeconds }: Durations, labels: Record<string, string>): Values['values'] {
    let count = 0
    const buckets = this.#bounds.map((le, bucket) => {
      count += counts[bucket] ?? 0
      return { metricName: `${name}_bucket`, labels: { le, ...labels }, value: count }
    })
    return [
      ...buckets,
      { metricName: `${name}_sum`, labels, value: sumSeconds },
      { metricName: `${name}_count`, labels, value: count },
    ]
  }
}

function labelled(names: readonly string[], values: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map((name, index) => [name, values[index] ?? '']))
}
