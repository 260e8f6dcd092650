// Questions to a local etcd member over its HTTP gateway: waits ask many times a second, and a program started for each
// question costs more than what is waited for.

import { messageOf } from '../platform/errors.ts'

const QUESTION_WITHIN_MS = 2_000

/** One key's value as text, from the first endpoint that answers; undefined when it is not there. Rejects when none does. */
export async function keyValue(endpoints: readonly string[], key: string): Promise<string | undefined> {
  const body = { key: Buffer.from(key).toString('base64') }
  const asked = endpoints.map(endpoint =>
    ask<{ readonly kvs?: readonly Row[] }>(endpoint, '/v3/kv/range', body),
  )
  const first = Promise.any(asked).catch((error: unknown) => {
    throw error instanceof AggregateError ? error.errors[0] : error
  })
  const [row] = (await first).kvs ?? []
  return row === undefined ? undefined : Buffer.from(row.value ?? '', 'base64').toString('utf8')
}

/** Whether etcd refused because it wants to know who asks. */
export function wantsUser(error: unknown): boolean {
  return /user name is empty/.test(messageOf(error))
}

/** Whether this member leads the raft, by its own word. */
export async function leadsRaft(endpoint: string): Promise<boolean> {
  const { header, leader } = await ask<Status>(endpoint, '/v3/maintenance/status', {})
  return leader === header.member_id
}

/** Where a member stands, by its own word. */
export interface Position {
  readonly memberId: string
  readonly clusterId: string
  readonly revision: bigint
  readonly raftTerm: bigint
}

/** Asks one member where it stands. */
export async function positionOf(endpoint: string): Promise<Position> {
  const { header } = await ask<Status>(endpoint, '/v3/maintenance/status', {})
  return {
    memberId: header.member_id,
    clusterId: header.cluster_id,
    revision: BigInt(header.revision),
    raftTerm: BigInt(header.raft_term),
  }
}

/** Ids come as text: they pass 2^53. */
interface Status {
  readonly header: {
    readonly member_id: string
    readonly cluster_id: string
    readonly revision: string
    readonly raft_term: string
  }
  readonly leader?: string
}

interface Row {
  readonly value?: string
}

async function ask<T>(endpoint: string, target: string, body: object): Promise<T> {
  const response = await fetch(`http://${endpoint}${target}`, {
    method: 'POST',
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(QUESTION_WITHIN_MS),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${endpoint}: ${response.status} ${text.trim()}`)
  return JSON.parse(text) as T
}
