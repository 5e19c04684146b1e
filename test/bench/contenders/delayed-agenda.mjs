/** sidework's agenda, which is internal: imported from the built files, with the clock and the timer of production. */
import { Alarm, realClock } from '../../../dist/clock.js'
import { Agenda } from '../../../dist/queue/agenda.js'

/** `defer` reads the clock once, for whatever needs the instant; so here it is read once for many. */
const addsPerReading = 256

/** @param onDue called with each record when its time has come */
export function start(onDue) {
  const clock = realClock()
  const timer = new Alarm()
  const agenda = new Agenda({ clock, armTimer: (at, wake) => timer.arm(at, clock, wake) }, () => {
    const now = clock.now()
    while (agenda.doNext(now, onDue));
    agenda.rearm()
  })
  let added = 0
  let now = 0
  return {
    add(record, delayMs) {
      if (added++ % addsPerReading === 0) now = clock.now()
      agenda.addJob(record, now + delayMs)
    },
  }
}
