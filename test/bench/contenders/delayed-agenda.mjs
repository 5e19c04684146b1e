/** sidework's agenda, which is internal: imported from the built files, with the clock and the timer of production. */
import { Alarm, realClock } from '../../../dist/clock.js'
import { Agenda } from '../../../dist/queue/agenda.js'

/** @param onDue called with each record when its time has come */
export function start(onDue) {
  const clock = realClock()
  const timer = new Alarm()
  const agenda = new Agenda({ clock, armTimer: (at, wake) => timer.arm(at, clock, wake) }, () => {
    const now = clock.now()
    while (agenda.doNext(now, onDue));
    agenda.rearm()
  })
  return { add: (record, delayMs) => agenda.addJob(record, clock.now() + delayMs) }
}
