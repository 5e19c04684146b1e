/** The public 'sidework/metrics': what Prometheus scrapes. */
export { metrics, type MetricsHandler, type MetricsOptions } from './metrics.js'
