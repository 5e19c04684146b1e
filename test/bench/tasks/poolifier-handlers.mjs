/** The handlers, registered as poolifier wants them. */
import { ThreadWorker } from 'poolifier'
import { answer, burn, noop } from './pool-handlers.mjs'

export default new ThreadWorker({ noop, answer, burn })
