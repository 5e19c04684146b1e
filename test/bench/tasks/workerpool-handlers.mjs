/** The handlers, registered as workerpool wants them. */
import workerpool from 'workerpool'
import { answer, burn, noop } from './pool-handlers.mjs'

workerpool.worker({ noop, answer, burn })
