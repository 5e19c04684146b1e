/** Prints what was measured: machine, a table per group with medians and spreads, and the comparisons with their goals. */
import os from 'node:os'
import { median, values } from './compare.mjs'

/** What else the machine was doing when the run began. */
const loadBefore = os.loadavg()[0]
const busyLoad = 0.5

export function printReport({ name, rounds, groups, results, compared }) {
  console.log(`\n${name}: ${machine()}, ${rounds} rounds, median (lowest to highest)`)
  if (loadBefore > busyLoad)
    console.log('Something else ran: that slows pools which wake a thread per job more than batches.')
  for (const group of groups) printGroup(group, results)
  printComparisons(compared)
}

function machine() {
  const cpus = os.cpus()
  return `${cpus[0]?.model ?? 'unknown CPU'}, ${cpus.length} cores, load ${loadBefore.toFixed(1)} before, Node ${process.version}, ${process.platform}`
}

function printGroup({ name, figures, base }, results) {
  const own = results.filter(({ group }) => group === name)
  const baseResult = own.find(({ contender }) => contender === base)
  const head = ['', ...figures.flatMap(({ label }) => [label, '', `/ ${base}`])]
  const body = own.map((result) => [result.contender, ...cells(result, baseResult, figures)])
  console.log(`\n${name}`)
  printTable([head, ...body])
}

function cells(result, baseResult, figures) {
  if (result.missing !== undefined) return [`not available: ${result.missing}`]
  if (result.failure !== undefined) return [`failed: ${result.failure}`]
  return figures.flatMap((figure) => figureCells(result, baseResult, figure))
}

function figureCells(result, baseResult, { key, digits }) {
  const numbers = values(result, key)
  if (numbers.length === 0) return ['–', '', '–']
  const spread = `(${format(Math.min(...numbers), digits)} to ${format(Math.max(...numbers), digits)})`
  return [format(median(numbers), digits), spread, format(times(result, baseResult, key))]
}

function times(result, baseResult, key) {
  const base = median(values(baseResult, key))
  return base === null || base === 0 ? null : median(values(result, key)) / base
}

function printComparisons(compared) {
  console.log('\nsidework against')
  printTable([
    ['', 'unit', 'ours', 'peer', 'ratio', 'goal', ''],
    ...compared.map(({ row, goal }) => [
      row.name,
      row.unit,
      format(row.ours),
      format(row.peer),
      format(row.ratio),
      goal === undefined ? '' : `${goal.of} ${goal.sign} ${goal.bound}`,
      verdict(row, goal),
    ]),
  ])
}

function verdict(row, goal) {
  if (goal === undefined || row[goal.of] === null) return ''
  const met = goal.sign === '≤' ? row[goal.of] <= goal.bound : row[goal.of] >= goal.bound
  return met ? 'met' : 'MISSED'
}

/** Three significant digits or so, `–` for what was not measured. */
function format(number, digits) {
  if (number === null) return '–'
  const places = digits ?? (Math.abs(number) < 10 ? 2 : Math.abs(number) < 100 ? 1 : 0)
  return number.toLocaleString('en', { minimumFractionDigits: places, maximumFractionDigits: places })
}

/** Columns as wide as their widest cell. A row with one cell after its name is a message and widens none. */
function printTable(rows) {
  const widths = []
  for (const row of rows) {
    row.forEach((cell, column) => {
      if (row.length !== 2 || column === 0) widths[column] = Math.max(widths[column] ?? 0, cell.length)
    })
  }
  for (const row of rows) {
    const line = row.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[0]) : row.length === 2 ? cell : cell.padStart(widths[column]),
    )
    console.log(`  ${line.join('  ')}`.trimEnd())
  }
}
