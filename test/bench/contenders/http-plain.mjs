/** The same app without deferring. */
import { makeApp as make } from './http-defer.mjs'

export const makeApp = () => make(false)
