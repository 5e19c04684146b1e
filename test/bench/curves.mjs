/** Draws curves side by side as SVG: x logarithmic, y from 0, each point with its spread as a bar. */

const panel = { width: 210, height: 170, left: 44, top: 34, gap: 18 }
const foot = 34

/**
 * @param curves `{ title, points: { x, y, low, high }[] }[]`, x above 0 and ascending
 * @param unit what y is
 * @returns the text of an SVG file, readable on light and dark pages
 */
export function drawCurves(curves, unit) {
  const width = curves.length * (panel.left + panel.width + panel.gap)
  const height = panel.top + panel.height + foot
  const panels = curves.map((curve, n) => drawPanel(curve, n * (panel.left + panel.width + panel.gap)))
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${unit}">
<style>
  text { font: 11px sans-serif; fill: #555 } .title { font-weight: bold }
  .line { fill: none; stroke: #2b6cb0; stroke-width: 1.5 } .dot { fill: #2b6cb0 } .spread { stroke: #2b6cb0; opacity: 0.5 }
  .grid { stroke: #999; opacity: 0.35 }
  @media (prefers-color-scheme: dark) { text { fill: #bbb } .line, .spread { stroke: #7fb3ec } .dot { fill: #7fb3ec } }
</style>
<text x="4" y="12">${unit}</text>
${panels.join('\n')}
</svg>
`
}

function drawPanel({ title, points }, offset) {
  const left = offset + panel.left
  const bottom = panel.top + panel.height
  const top = niceCeiling(Math.max(...points.map(({ high }) => high)))
  const first = Math.log10(points[0].x)
  const decades = Math.log10(points.at(-1).x) - first
  const x = (value) => round(left + ((Math.log10(value) - first) / decades) * panel.width)
  const y = (value) => round(bottom - (value / top) * panel.height)
  const grid = [0, 0.25, 0.5, 0.75, 1].map((share) => {
    const at = y(share * top)
    return `<line class="grid" x1="${left}" x2="${left + panel.width}" y1="${at}" y2="${at}"/><text x="${left - 5}" y="${at + 4}" text-anchor="end">${round(share * top)}</text>`
  })
  const marks = points.map(
    (point) =>
      `<line class="spread" x1="${x(point.x)}" x2="${x(point.x)}" y1="${y(point.low)}" y2="${y(point.high)}"/><circle class="dot" cx="${x(point.x)}" cy="${y(point.y)}" r="2.5"/><text x="${x(point.x)}" y="${bottom + 15}" text-anchor="middle">${short(point.x)}</text>`,
  )
  const path = points.map((point) => `${x(point.x)},${y(point.y)}`).join(' ')
  return [
    `<text class="title" x="${left}" y="${panel.top - 8}">${title}</text>`,
    ...grid,
    `<polyline class="line" points="${path}"/>`,
    ...marks,
  ].join('\n')
}

/** The next of 1, 2, 4, 5 or 10 times a power of ten. */
function niceCeiling(value) {
  const power = 10 ** Math.floor(Math.log10(value))
  return [1, 2, 4, 5, 10].map((step) => step * power).find((candidate) => candidate >= value)
}

function short(number) {
  return number >= 1e6 ? `${number / 1e6}M` : number >= 1e3 ? `${number / 1e3}k` : `${number}`
}

function round(number) {
  return Math.round(number * 100) / 100
}
