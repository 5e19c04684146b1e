/** Builds the Grafana dashboard that the package ships, from the panels in panels.ts. */
import type { Builder } from '@grafana/grafana-foundation-sdk/cog'
import {
  DashboardBuilder,
  DatasourceVariableBuilder,
  QueryVariableBuilder,
  RowBuilder,
  VariableRefresh,
  type Panel as PanelModel,
} from '@grafana/grafana-foundation-sdk/dashboard'
import { DataqueryBuilder } from '@grafana/grafana-foundation-sdk/prometheus'
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat'
import { PanelBuilder as TimeseriesBuilder } from '@grafana/grafana-foundation-sdk/timeseries'
import { rows, type Panel } from './panels.js'

const datasource = { type: 'prometheus', uid: '$datasource' }
/** A dashboard is 24 wide. */
const widths = { stat: 4, timeseries: 8 } as const
const heights = { stat: 4, timeseries: 8 } as const

/** The dashboard as JSON text. */
export function dashboardJson(): string {
  const dashboard = new DashboardBuilder('Sidework')
    .uid('sidework')
    .description('Background jobs of a sidework scheduler. Made for the metrics of sidework/metrics.')
    .tags(['sidework', 'background jobs'])
    .refresh('30s')
    .time({ from: 'now-1h', to: 'now' })
    .withVariable(new DatasourceVariableBuilder('datasource').label('Data source').type('prometheus'))
    .withVariable(labelVariable('job', 'Job', 'sidework_queue_bytes'))
    .withVariable(labelVariable('instance', 'Instance', 'sidework_queue_bytes{job=~"$job"}'))
  for (const { title, panels } of rows) {
    dashboard.withRow(new RowBuilder(title))
    for (const panel of panels) dashboard.withPanel(panelOf(panel))
  }
  return `${JSON.stringify(dashboard.build(), null, 2)}\n`
}

function labelVariable(label: string, shown: string, metric: string): QueryVariableBuilder {
  return new QueryVariableBuilder(label)
    .label(shown)
    .datasource(datasource)
    .query(`label_values(${metric}, ${label})`)
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .multi(true)
    .includeAll(true)
    .allValue('.*')
}

function panelOf({ title, description, unit, kind, queries }: Panel): Builder<PanelModel> {
  const panel = kind === 'stat' ? new StatBuilder() : new TimeseriesBuilder()
  panel
    .title(title)
    .description(description)
    .unit(unit)
    .datasource(datasource)
    .span(widths[kind])
    .height(heights[kind])
    .min(0)
  for (const [expression, legend] of queries) {
    panel.withTarget(new DataqueryBuilder().expr(expression).legendFormat(legend).datasource(datasource))
  }
  return panel
}
