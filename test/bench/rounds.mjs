/**
 * Runs every contender of every group once per round, each in a fresh process, one after the other. Contenders of a
 * group are neighbours in time, and every second round goes backwards, so that a drifting machine favours nobody.
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const child = fileURLToPath(new URL('./child.mjs', import.meta.url))
const childFlags = ['--expose-gc', '--max-old-space-size=4096']
const longestMs = 120_000

/**
 * @param flags Node's, for the children
 * @returns one result per group and contender: `{ group, contender, samples }`, where `samples[round]` holds that
 *   round's figures; or, instead of samples, `missing` (it cannot be loaded) or `failure` (it broke), a message each
 */
export async function runRounds(benchmark, groups, rounds, note, flags = []) {
  const results = groups.flatMap((group) =>
    group.contenders.map((contender) => ({
      group: group.name,
      contender,
      parameters: group.parameters,
      samples: [],
    })),
  )
  for (let round = 0; round < rounds; round++) {
    note(`${benchmark}: round ${round + 1} of ${rounds} `)
    for (const result of round % 2 === 0 ? results : results.toReversed()) {
      if (result.missing !== undefined || result.failure !== undefined) continue
      record(
        result,
        await measureInChild(benchmark, { contender: result.contender, ...result.parameters }, flags),
      )
      note('.')
    }
    note('\n')
  }
  return results
}

function record(result, answer) {
  if (answer.figures !== undefined) result.samples.push(answer.figures)
  else if (answer.missing !== undefined) result.missing = answer.missing
  else result.failure = answer.failure
}

function measureInChild(benchmark, parameters, flags) {
  const argv = [...childFlags, ...flags, child, benchmark, JSON.stringify(parameters)]
  return new Promise((resolve) => {
    execFile(process.execPath, argv, { timeout: longestMs }, (error, stdout, stderr) => {
      resolve(error === null ? lastLine(stdout) : { failure: why(error, stderr) })
    })
  })
}

/** The child's answer is the last line it prints; what a contender prints before it is ignored. */
function lastLine(stdout) {
  try {
    return JSON.parse(stdout.trimEnd().split('\n').at(-1))
  } catch (cause) {
    return { failure: `no figures in its output (${cause.message})` }
  }
}

function why(error, stderr) {
  if (error.killed) return `not done after ${longestMs / 1000} s`
  const lines = stderr.trimEnd().split('\n')
  return lines.find((line) => /Error\b/.test(line)) ?? lines.at(-1) ?? error.message
}
