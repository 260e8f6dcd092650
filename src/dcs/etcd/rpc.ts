// The requests of etcd's v3 API that we make, and their answers, whatever carries them to one member (grpc.ts, http.ts).
// Whole numbers are bigint where they pass 2^53. Nothing here repeats a request or chooses a member.

import type { Position } from '../../cluster/view.ts'

/** Where an answer stood and who gave it. */
export interface Header extends Position {
  readonly memberId: string
}

/** Anything that etcd answers. */
export interface Answered {
  readonly header: Header
}

/** A key as it is stored, with its whole name. */
export interface StoredKey {
  readonly key: Buffer
  readonly value: Buffer
  readonly createRevision: bigint
  readonly modRevision: bigint
  readonly leaseId: bigint
}

export interface RangeRequest {
  readonly key: Buffer
  /** The first key after the range; undefined: the one key. */
  readonly rangeEnd?: Buffer
  /** Answered from the member's own copy, without asking the others. */
  readonly isLocal?: boolean
  readonly keysOnly?: boolean
}

export interface RangeAnswer extends Answered {
  readonly keys: readonly StoredKey[]
}

export interface Compare {
  readonly key: Buffer
  readonly target: 'create' | 'mod'
  readonly revision: bigint
}

export type Operation =
  | { readonly kind: 'put'; readonly key: Buffer; readonly value: Buffer; readonly leaseId: bigint }
  | { readonly kind: 'delete'; readonly key: Buffer; readonly rangeEnd?: Buffer }

export interface TxnRequest {
  readonly compare: readonly Compare[]
  readonly success: readonly Operation[]
}

export interface TxnAnswer extends Answered {
  readonly succeeded: boolean
}

/** A lease: `ttlSeconds` is what is left of it, 0 or less when it does not exist. */
export interface LeaseAnswer extends Answered {
  readonly id: bigint
  readonly ttlSeconds: number
  readonly grantedSeconds: number
}

export interface MembersAnswer extends Answered {
  readonly members: readonly {
    readonly id: string
    readonly name: string
    readonly clientUrls: readonly string[]
  }[]
}

export interface StatusAnswer extends Answered {
  readonly version: string
  readonly leaderId: string
  readonly dbBytes: bigint
}

export interface WatchRequest {
  readonly key: Buffer
  readonly rangeEnd: Buffer
  /** First revision wanted; undefined: from now on. */
  readonly from: bigint | undefined
}

export interface StoredEvent {
  readonly kind: 'put' | 'delete'
  readonly kv: StoredKey
}

export interface WatchMessage extends Answered {
  readonly isCreated: boolean
  /** The member ends the watch. `compactRevision` above 0: the history wanted is no longer there. */
  readonly canceled: { readonly reason: string; readonly compactRevision: bigint } | undefined
  readonly events: readonly StoredEvent[]
}

/** What an open watch tells, each in its turn of the event loop. */
export interface WatchHandlers {
  onMessage(message: WatchMessage): void
  onError(error: unknown): void
  onEnd(): void
}

/** An open watch. */
export interface WatchConnection {
  /** Makes the member answer with a message soon, if it is alive. */
  askForLife(): void
  cancel(): void
}

/** How a request travels: it ends when `signal` aborts; `token` is the session's of a named user. */
export interface CallContext {
  readonly signal: AbortSignal
  readonly token?: string
}

/** One member, reached in one way. Connects at the first request. Every method rejects with the transport's error. */
export interface EtcdRpc {
  range(request: RangeRequest, call: CallContext): Promise<RangeAnswer>
  txn(request: TxnRequest, call: CallContext): Promise<TxnAnswer>
  grant(ttlSeconds: number, call: CallContext): Promise<LeaseAnswer>
  keepAlive(leaseId: bigint, call: CallContext): Promise<LeaseAnswer>
  timeToLive(leaseId: bigint, call: CallContext): Promise<LeaseAnswer>
  revoke(leaseId: bigint, call: CallContext): Promise<Answered>
  members(call: CallContext): Promise<MembersAnswer>
  status(call: CallContext): Promise<StatusAnswer>
  /** A token for a named user. */
  authenticate(username: string, password: string, call: CallContext): Promise<string>
  watch(request: WatchRequest, handlers: WatchHandlers, call: CallContext): Promise<WatchConnection>
  close(): void
}
