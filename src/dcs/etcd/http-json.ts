// etcd's JSON as its HTTP gateway writes it: bytes in base64, whole numbers as text, and what is zero is left out.

import { isObject, type Json, type JsonObject } from '../../cluster/json.ts'
import type { Header, LeaseAnswer, Operation, StoredKey } from './rpc.ts'

/** Codes of requests that etcd refuses for what they are. */
const MARKS = new Map([
  [3, '3 INVALID_ARGUMENT'],
  [9, '9 FAILED_PRECONDITION'],
  [11, '11 OUT_OF_RANGE'],
])

/** One JSON object; anything else counts as an error of the server. */
export function parseLine(text: string): JsonObject {
  try {
    const value: unknown = JSON.parse(text)
    if (isObject(value as Json)) return value as JsonObject
  } catch {
    // Told below, with the beginning of what came.
  }
  return { error: `no JSON object: ${text.slice(0, 100)}` }
}

/** etcd's own words, which say what a failure means; under a mark as gRPC has it. */
export function errorOf(answer: JsonObject, statusCode: number): Error {
  const { error } = answer
  const inner = isObject(error) ? error : answer
  const words = inner['message'] ?? inner['error'] ?? error ?? 'no reason given'
  const code = Number(inner['grpc_code'] ?? inner['code'] ?? 0)
  return new Error(`${MARKS.get(code) ?? `HTTP ${statusCode}`}: ${String(words)}`)
}

/** Where an answer stood. Throws when it does not say so: then it is no answer of etcd. */
export function headerOf(answer: JsonObject): Header {
  const { header } = answer
  if (!isObject(header) || header['cluster_id'] === undefined) throw new Error('an answer without a header')
  return {
    clusterId: textOf(header['cluster_id']),
    memberId: textOf(header['member_id']),
    revision: BigInt(textOf(header['revision'])),
    raftTerm: BigInt(textOf(header['raft_term'])),
  }
}

export function storedKey(kv: JsonObject): StoredKey {
  return {
    key: bytesOf(kv['key']),
    value: bytesOf(kv['value']),
    createRevision: BigInt(textOf(kv['create_revision'])),
    modRevision: BigInt(textOf(kv['mod_revision'])),
    leaseId: BigInt(textOf(kv['lease'])),
  }
}

/** Objects of a list; a list that is left out is empty. */
export function listOf(value: Json | undefined): readonly JsonObject[] {
  return Array.isArray(value) ? value.filter(isObject) : []
}

export function leaseOf(answer: JsonObject): LeaseAnswer {
  const ttlSeconds = Number(answer['TTL'] ?? 0)
  return {
    header: headerOf(answer),
    id: BigInt(textOf(answer['ID'])),
    ttlSeconds,
    grantedSeconds: ttlSeconds,
  }
}

export function encodeRange(key: Buffer, rangeEnd: Buffer | undefined) {
  const end = rangeEnd === undefined ? {} : { range_end: rangeEnd.toString('base64') }
  return { key: key.toString('base64'), ...end }
}

export function encodeOperation(operation: Operation): object {
  if (operation.kind === 'delete') {
    return { request_delete_range: encodeRange(operation.key, operation.rangeEnd) }
  }
  const { key, value, leaseId } = operation
  const put = { key: key.toString('base64'), value: value.toString('base64'), lease: leaseId.toString() }
  return { request_put: put }
}

/** Text of a number or text; `0` for what was left out. */
export function textOf(value: Json | undefined): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '0'
}

function bytesOf(value: Json | undefined): Buffer {
  return Buffer.from(typeof value === 'string' ? value : '', 'base64')
}
