/** How large payloads and results may be, and what to tell whoever goes beyond. */

/** How far a value may go. Make it once and keep it: the encoder compares, it never copies. */
export interface PayloadLimits {
  /** What paths in messages begin with. */
  readonly root: 'payload' | 'result' | 'progress'
  /** Most UTF-8 bytes of JSON. */
  readonly maxJsonBytes: number
  /** Most bytes of all `Uint8Array` leaves together. */
  readonly maxLeafBytes: number
  /** Ends the message about too much JSON: what to do. */
  readonly jsonAdvice: string
  /** Ends the message about too many bytes in leaves: what to do. */
  readonly leafAdvice: string
}

/**
 * Limits for payloads.
 * @param maxJsonBytes the scheduler's `maxPayloadBytes`; default 256 KiB
 * @param maxLeafBytes the scheduler's `maxQueuedBytes`; default 256 MiB
 */
export function payloadLimits(maxJsonBytes = 256 * 2 ** 10, maxLeafBytes = 256 * 2 ** 20): PayloadLimits {
  return {
    root: 'payload',
    maxJsonBytes,
    maxLeafBytes,
    jsonAdvice: 'Pass an id or a file name instead, binary data as Uint8Array, or raise maxPayloadBytes.',
    leafAdvice: 'Pass a file name instead, or raise maxQueuedBytes.',
  }
}

/** Limits of progress values: 8 KiB of JSON, no bytes. */
export const progressLimits: PayloadLimits = {
  root: 'progress',
  maxJsonBytes: 8 * 2 ** 10,
  maxLeafBytes: 0,
  jsonAdvice: 'Report less: a ratio and a message.',
  leafAdvice: 'Report numbers and text only.',
}

/** Limits of results: 1 MiB of JSON, 64 MiB of bytes. */
export const resultLimits: PayloadLimits = {
  root: 'result',
  maxJsonBytes: 2 ** 20,
  maxLeafBytes: 64 * 2 ** 20,
  jsonAdvice: 'Store it where it belongs and return an id or a file name.',
  leafAdvice: 'Store it where it belongs and return a file name.',
}
