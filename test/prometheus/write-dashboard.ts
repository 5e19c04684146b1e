/** `npm run dashboard`: writes the dashboard that the package ships. */
import { writeFileSync } from 'node:fs'
import { dashboardJson } from './dashboard.js'

writeFileSync(new URL('../../src/metrics/grafana-dashboard.json', import.meta.url), dashboardJson())
