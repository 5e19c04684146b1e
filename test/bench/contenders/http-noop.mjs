/** The same app without deferring, but with a middleware that does nothing: what any middleware costs. */
import { makeApp as make } from './http-defer.mjs'

export const makeApp = () => make(false, (_req, _res, next) => next())
