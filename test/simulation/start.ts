/** `node --import tsx test/simulation/start.ts PROGRAM …`: runs it as one file (bundle.ts). */
import { fileURLToPath } from 'node:url'
import { runBundled } from './bundle.js'

const [program = '', ...args] = process.argv.slice(2)
const root = fileURLToPath(new URL('../..', import.meta.url))
process.exit(runBundled(root, program, { args, output: 'inherit' }).status ?? 1)
