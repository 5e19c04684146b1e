/** Rare situations that the random schedules must reach: one that stays at zero is not tested by them. */
const names = [
  'a job settled as completed', 'a job failed for good', 'a job was cancelled', 'a job expired', 'a job was interrupted',
  'a job was snoozed', 'a job used its last attempt', 'an attempt timed out', 'a job ran out of memory twice',
  'a job was sent ahead of its turn', 'the first of a key was sent ahead', 'recall took back a job that was sent ahead', 'a kept job was sent again after a recall',
  'a cancelled job had been sent ahead', 'an attempt lingered past the time of its retry', 'a job expired while its old attempt lingered',
  'a retry was held up by its old attempt',
  'a job was retried while its old attempt lingered', 'a zombie reported a result', 
  'a rate window was full', 'a shared limit was paused', 
  'a defer found its job there', 'a completed job stood for its key until its ttl', 'a follower waited', 'a follower was released',
  'a debounced job took a new payload', 'a debounced job waited again', 'a debounced job was due at once', 'a debounced job changed its line', 'a held job was released', 'a held job was discarded',
  'a held job found a duplicate', 'a crash blamed nobody', 'a crash blamed one job of a shared thread', 'a job ran alone after a crash',
  'a job was blocked by its key', 'a job that was due joined its line before the timer said so', 'a key halted', 'a halted key was released', 'a halted key was released with its job',
  'a key stayed halted, as its job could not run again', 'a halted key was released with its job, which had been retried',
  'a halted key was released while its job lingered', 'the head of a line was cancelled', 'a job with a key was retried at the end of its line',
  'a signal cancelled a running job', 'a signal cancelled a waiting job', 'runNow hurried a retry', 'runNow began the expiry anew', 'a waiting job changed its priority',
  'aging let a lower priority go first', 'the queue was full', 'an own id was taken', 'a retry was refused by its key',
  'a thread could not be started', 'a thread died while it started', 'a shared thread was retired', 'a shared thread hung', 'a main-lane handler was given up',
  'a spinning thread was stopped', 'the timer woke early', 'the loop was blocked past a deadline', 'the wall clock jumped',
  'a forged message was ignored', 'a report came twice', 'a child was deferred by a handler',
  'close drained', 'something was paused while close drained', 'close lost jobs', 'a lost job was restored and settled', 'a lost running job kept its attempt', 'a restored job kept its place in its line', 'a halted key was lost and restored', 'a restored job was ready since before', 'a lost held job was left out', 'retryAll was refused as a whole',
  'a forged message named an execution that was over', 'close left a thread behind that does not exit',
  'a waiter was told by close', 'a pause found jobs sent ahead', 'a paused task let others pass', 'many jobs were refused together',
] as const // prettier-ignore
export type Situation = (typeof names)[number]

export class Sometimes {
  readonly counts = new Map<string, number>(names.map((name) => [name, 0]))

  reached(situation: Situation): void {
    this.counts.set(situation, (this.counts.get(situation) ?? 0) + 1)
  }

  get missing(): string[] {
    return [...this.counts].flatMap(([name, count]) => (count === 0 ? [name] : []))
  }
}
