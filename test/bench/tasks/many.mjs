/** As many no-op tasks as the environment asks for; threads inherit it. */
import { defineTask } from 'sidework'

export const many = Array.from({ length: Number(process.env.BENCH_TASKS ?? 1) }, (_, n) =>
  defineTask(`noop-${n}`, () => {}),
)
