/** An error as plain data, the only form in which errors cross threads and reach snapshots, events and logs. */
export interface SerializedError {
  readonly name: string
  /** At most 8 KB. */
  readonly message: string
  readonly code?: string
  /** At most 16 KB. */
  readonly stack?: string
  /** At most 5 deep. */
  readonly cause?: SerializedError
}
