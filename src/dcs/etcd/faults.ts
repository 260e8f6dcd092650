// What a failed request to etcd means for us. One question rules it: can the request have been applied?

import { HaError, messageOf } from '../../platform/errors.ts'

/**
 * `not-sent`: it never left, or the member refused it before doing anything. `unanswered`: it may be applied, now or
 * later. `rejected`: the cluster answered no. `lease-gone`: the lease it named does not exist. `auth`: name, password,
 * token or permission. `stale`: the member answered from an older raft term than one heard before, or from another cluster.
 */
export type FaultKind = 'not-sent' | 'unanswered' | 'rejected' | 'lease-gone' | 'auth' | 'stale'

/** A failed attempt at one endpoint. Never leaves `dcs/etcd`: callers get outcomes or HaError. */
export class EtcdFault extends Error {
  readonly kind: FaultKind
  readonly endpoint: string
  readonly detail: string

  constructor(kind: FaultKind, endpoint: string, detail: string, cause?: unknown) {
    super(`${endpoint}: ${detail}`, cause === undefined ? undefined : { cause })
    this.name = 'EtcdFault'
    this.kind = kind
    this.endpoint = endpoint
    this.detail = detail
  }
}

/** Order matters: the first that matches names the kind. What no row names may have been applied. */
const TEXTS: readonly (readonly [RegExp, FaultKind])[] = [
  [/requested lease not found/, 'lease-gone'],
  // A token that is refused twice in a row was refused before anything was done: another member may know it.
  [/invalid auth token|auth token is not valid|revision of auth store is old/, 'not-sent'],
  [/authentication failed|permission denied|user name is empty|authentication is not enabled/, 'auth'],
  [/^(7|16) [A-Z_]+: /, 'auth'],
  [/No connection established|Name resolution failed|Channel closed before call started/, 'not-sent'],
  [/client was already closed|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|UND_ERR_CONNECT_TIMEOUT/, 'not-sent'],
  // Only from a connect: a connection that stood may end by the same number after the request has left.
  [/connect (EHOSTUNREACH|ENETUNREACH|EADDR)|\((EHOSTUNREACH|ENETUNREACH)\)/, 'not-sent'],
  // Only what ends a handshake: a member that has not taken our certificate has read nothing of ours.
  [/certificate|wrong version number|unsupported protocol|no shared cipher/i, 'not-sent'],
  [/alert (handshake failure|unknown ca|protocol version|access denied|insufficient security)/, 'not-sent'],
  // Refused on arrival because of the `hasleader` mark of our requests, before anything is proposed.
  [/etcdserver: no leader|rpc not supported for learner|etcdserver: too many requests/, 'not-sent'],
  // etcd applies such a write and only then says so: the key may be there.
  [/etcdserver: mvcc: database space exceeded|etcdserver: no space/, 'unanswered'],
  [/^(3 INVALID_ARGUMENT|9 FAILED_PRECONDITION|11 OUT_OF_RANGE): (etcdserver|etcdclient)/, 'rejected'],
]

/** Names the kind of anything that a request threw. */
export function faultOf(error: unknown, endpoint: string): EtcdFault {
  if (error instanceof EtcdFault) return error
  const text = error instanceof Error ? error.message : messageOf(error)
  const kind = TEXTS.find(([pattern]) => pattern.test(text))?.[1] ?? 'unanswered'
  const detail = kind === 'lease-gone' ? 'the lease no longer exists' : shortened(text)
  return new EtcdFault(kind, endpoint, detail, error)
}

/** Does this kind say that another endpoint may do better? */
export function isEndpointFault(kind: FaultKind): boolean {
  return kind === 'not-sent' || kind === 'unanswered' || kind === 'stale'
}

/** Did the member say no to what we are or ask? Another one may see that otherwise: it may belong to another etcd. */
export function isRefusal(kind: FaultKind | undefined): boolean {
  return kind === 'auth' || kind === 'rejected'
}

function shortened(text: string): string {
  const line = text.replace(/^(\d+ [A-Z_]+: )?(gRPC \d+: )?/, '').replace(/\.? Resolution note:.*$/s, '')
  return line.length <= 200 ? line : `${line.slice(0, 200)}...`
}

const CODES: Readonly<Record<FaultKind, string>> = {
  'not-sent': 'E_DCS_UNREACHABLE',
  unanswered: 'E_DCS_TIMEOUT',
  rejected: 'E_DCS_REJECTED',
  'lease-gone': 'E_DCS_LEASE_GONE',
  auth: 'E_DCS_AUTH',
  stale: 'E_DCS_STALE',
}

const CURES: Readonly<Record<FaultKind, string>> = {
  'not-sent': 'check that etcd runs and that this host reaches it',
  unanswered: 'check that a majority of the etcd members is up',
  rejected: 'see the etcd log',
  'lease-gone': 'a new lease is needed',
  auth: "check etcd's username, password and the permissions on the scope's prefix",
  stale: 'this member is cut off from the others, was restored alone, or belongs to another etcd',
}

/** The error for callers, made of the last fault of each endpoint that was asked. */
export function haErrorOf(what: string, faults: readonly EtcdFault[]): HaError {
  const kinds = new Set(faults.map(fault => fault.kind))
  const kind = (['auth', 'rejected', 'lease-gone', 'stale', 'unanswered'] as const).find(k => kinds.has(k))
  const worst = kind ?? (faults.length === 0 ? 'unanswered' : 'not-sent')
  const list = faults.map(fault => fault.message).join('; ')
  return new HaError(CODES[worst], `etcd: ${what} failed: ${list || 'no time left'}; ${CURES[worst]}`, {
    retryable: worst !== 'auth' && worst !== 'rejected',
    cause: faults.at(-1),
  })
}
