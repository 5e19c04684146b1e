/** `traceJobs()`: spans out of what the tracing channels tell. Of OpenTelemetry only the API is used. */
import { tracingChannel, type TracingChannelSubscribers } from 'node:diagnostics_channel'
import {
  context,
  propagation,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type Context,
  type Span,
  type Tracer,
} from '@opentelemetry/api'
import type { AttemptTrace, DeferTrace } from '../task/trace-channels.js'
import {
  acceptedAttributes,
  attemptAttributes,
  attemptSpanName,
  deferAttributes,
  deferSpanName,
  errorAttributes,
  outcomeAttributes,
  tracerName,
} from './conventions.js'

let stopCurrent: (() => void) | undefined

/**
 * Makes a producer span of every defer and a consumer span of every attempt, in this thread: call it once in the server
 * and once in each thread (a module that both import does it), after the SDK is registered. A second call changes
 * nothing. The attempt's span begins a trace of its own, linked to the defer's span, and is active while the handler runs.
 * Payloads, results and, of sensitive tasks, messages of errors never become attributes.
 * @returns what ends it
 * @example
 * new NodeTracerProvider({ spanProcessors }).register()
 * traceJobs()
 */
export function traceJobs(): () => void {
  if (stopCurrent !== undefined) return stopCurrent
  const tracer = trace.getTracer(tracerName)
  const defers = tracingChannel<unknown, DeferTrace>('sidework:defer')
  const attempts = tracingChannel<unknown, AttemptTrace>('sidework:attempt')
  const onDefer = deferSubscribers(tracer)
  const onAttempt = attemptSubscribers(tracer)
  defers.subscribe(onDefer)
  attempts.subscribe(onAttempt)
  stopCurrent = () => {
    defers.unsubscribe(onDefer)
    attempts.unsubscribe(onAttempt)
    stopCurrent = undefined
  }
  return stopCurrent
}

type Subscribers<M extends object> = TracingChannelSubscribers<M>

function deferSubscribers(tracer: Tracer): Subscribers<DeferTrace> {
  const spans = new WeakMap<object, Span>()
  const finish = (message: DeferTrace): void => {
    const span = spans.get(message)
    const isRefused = 'error' in message // whatever was thrown, perhaps undefined
    const isOver = message.id !== undefined || isRefused || isForNobody(message)
    if (span === undefined || !isOver) return // the answer of context.defer comes later
    spans.delete(message)
    span.setAttributes(acceptedAttributes(message))
    if (isRefused) fail(span, message.error, message.isSensitive)
    span.end()
  }
  return {
    start(message) {
      const parent = deferParent(message)
      const span = tracer.startSpan(
        deferSpanName(message),
        { kind: SpanKind.PRODUCER, attributes: deferAttributes(message) },
        parent,
      )
      propagation.inject(trace.setSpan(parent, span), message.carrier)
      spans.set(message, span)
    },
    end: finish,
    asyncStart() {},
    asyncEnd: finish,
    error() {},
  }
}

/** A `deferMany` of nothing, which makes no job. A flow of count 0 may yet be refused. */
function isForNobody({ task, count }: DeferTrace): boolean {
  return task === '(many)' && count === 0
}

/** The active span, else the one that the request came with. */
function deferParent({ request }: DeferTrace): Context {
  const active = context.active()
  if (request === undefined || trace.getSpan(active) !== undefined) return active
  return propagation.extract(active, request)
}

function attemptSubscribers(tracer: Tracer): Subscribers<AttemptTrace> {
  const spans = new WeakMap<object, Span>()
  const finish = (message: AttemptTrace): void => {
    const span = spans.get(message)
    if (span === undefined || message.outcome === undefined) return // the handler's promise has not settled
    spans.delete(message)
    span.setAttributes(outcomeAttributes(message))
    if (message.error !== undefined) fail(span, message.error, false) // of a sensitive task it has no text
    span.end()
  }
  return {
    start(message) {
      // Baggage goes on; the producer's span is linked, not a parent: an attempt may come hours later, or several times.
      const remote = propagation.extract(ROOT_CONTEXT, message.request ?? {})
      const producer = trace.getSpanContext(remote)
      const span = tracer.startSpan(
        attemptSpanName(message),
        {
          kind: SpanKind.CONSUMER,
          root: true,
          attributes: attemptAttributes(message),
          links: producer === undefined ? [] : [{ context: producer }],
        },
        remote,
      )
      spans.set(message, span)
      const inner = trace.setSpan(remote, span)
      const { around } = message
      message.around = (run) => {
        const inside = (): void => context.with(inner, run)
        if (around === undefined) inside()
        else around(inside)
      }
    },
    end: finish,
    asyncStart() {},
    asyncEnd: finish,
    error() {},
  }
}

/** @param isSensitive whether its text may hold a payload */
function fail(span: Span, error: unknown, isSensitive: boolean): void {
  const {
    name = 'Error',
    code,
    message,
    stack,
  } = (error ?? {}) as { name?: string; code?: string; message?: string; stack?: string } // an error, or one as data
  span.setAttributes(errorAttributes(code ?? name))
  const isShown = message !== undefined && !isSensitive
  span.setStatus({ code: SpanStatusCode.ERROR, ...(isShown ? { message } : undefined) })
  if (isShown) span.recordException({ name, message, ...(stack === undefined ? undefined : { stack }) })
}
