export interface EncodedBytes { readonly json: string; readonly chunks: readonly Uint8Array[]; readonly sizeBytes: number }
export type EncodedPayload = string | EncodedBytes | undefined
export function encodePayload(value: unknown, maxBytes: number): EncodedPayload { const t = JSON.stringify(value) as string|undefined; if ((t?.length??0) > maxBytes) throw new Error('large'); return t }
export function decodePayload(p: EncodedPayload): unknown { return p === undefined ? undefined : JSON.parse(typeof p === 'string' ? p : p.json) }
