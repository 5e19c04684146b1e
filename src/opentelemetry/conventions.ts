/**
 * How spans are named and described: OpenTelemetry's semantic conventions for messaging spans, as of version 1.45 (in
 * development there, so pinned here), with sidework as the messaging system, a task as the destination and a job as the
 * message; and what those have no name for, under `sidework.`.
 * https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/
 */
import type { Attributes } from '@opentelemetry/api'
import type { AttemptTrace, DeferTrace } from '../task/trace-channels.js'

/** The name of the tracer. */
export const tracerName = 'sidework'

const common = { 'messaging.system': 'sidework' } as const

export function deferSpanName({ task }: DeferTrace): string {
  return `defer ${task}`
}

export function deferAttributes({ task, count }: DeferTrace): Attributes {
  return {
    ...common,
    'messaging.operation.name': 'defer',
    'messaging.operation.type': 'send',
    'messaging.destination.name': task,
    ...(count === 1 ? undefined : { 'messaging.batch.message_count': count }),
  }
}

/** What is known once the job is accepted. */
export function acceptedAttributes({ id, count, deduplicated }: DeferTrace): Attributes {
  return {
    ...(id === undefined || count !== 1 ? undefined : { 'messaging.message.id': id }),
    ...(deduplicated === true ? { 'sidework.deduplicated': true } : undefined),
  }
}

export function attemptSpanName({ task }: AttemptTrace): string {
  return `run ${task}`
}

export function attemptAttributes({ id, task, attempt, maxAttempts }: AttemptTrace): Attributes {
  return {
    ...common,
    'messaging.operation.name': 'run',
    'messaging.operation.type': 'process',
    'messaging.destination.name': task,
    'messaging.message.id': id,
    'sidework.attempt': attempt,
    'sidework.max_attempts': maxAttempts,
  }
}

/** What is known once the attempt has ended. */
export function outcomeAttributes({ outcome }: AttemptTrace): Attributes {
  return outcome === undefined ? {} : { 'sidework.outcome': outcome }
}

export function errorAttributes(type: string): Attributes {
  return { 'error.type': type }
}
