/** Notices that this process is one of several that run the same code. */

/** What is looked at: of `node:cluster` and of the environment that PM2 sets. */
export interface ProcessSigns {
  /** Number of this worker in `node:cluster`, from 1; undefined in a process of its own. */
  readonly clusterWorker: number | undefined
  readonly environment: Readonly<Record<string, string | undefined>>
}

/**
 * Why each schedule may run several times, or undefined.
 * PM2 counts the processes of an app in `instances` and numbers them in `NODE_APP_INSTANCE`, from 0; in its cluster mode
 * each is a worker of `node:cluster`, also when it is the only one.
 */
export function severalInstances({ clusterWorker, environment }: ProcessSigns): string | undefined {
  const count = environment['instances']
  const number = environment['NODE_APP_INSTANCE']
  const isOfPm2 = environment['pm_id'] !== undefined || number !== undefined
  if (isOfPm2) {
    if (Number(count) > 1) return `PM2 runs ${count} instances`
    if (Number(number) > 0) return `PM2 runs this as instance ${number}, so there are others`
    return undefined
  }
  return clusterWorker === undefined ? undefined : `this is worker ${clusterWorker} of a cluster`
}
