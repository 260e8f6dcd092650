// The requests over gRPC, by the etcd3 package with every policy of it switched off: no retries, no circuit breaker, no
// choice of hosts, no authentication. Those decisions are ours, because only we know which request may be repeated.

import {
  Etcd3,
  type IKeyValue,
  type ILeaseKeepAliveResponse,
  type IOptions,
  type IResponseHeader,
  type ITxnRequest,
  type IWatchResponse,
} from 'etcd3'
import { callOptions } from './grpc-call.ts'
import type {
  CallContext,
  Compare,
  EtcdRpc,
  Header,
  LeaseAnswer,
  Operation,
  RangeAnswer,
  RangeRequest,
  StoredKey,
  TxnAnswer,
  TxnRequest,
  WatchConnection,
  WatchHandlers,
  WatchMessage,
  WatchRequest,
} from './rpc.ts'
import type { OpenTarget } from './target.ts'

type Policy = NonNullable<NonNullable<IOptions['faultHandling']>['global']>

/** Runs the work once and passes its result on: what the package's retry and breaker policies become. */
const onceOnly = {
  execute: async <T>(work: (context: { signal: AbortSignal }) => PromiseLike<T> | T) =>
    work({ signal: new AbortController().signal }),
} as unknown as Policy

/** etcd refuses pings that come faster than every 5 s, so stay a little above it. */
const KEEPALIVE_MS = 5_100
/** A slow way (twice 900 ms was tried) must not look like a broken one: our own deadlines are quicker anyway. */
const KEEPALIVE_TIMEOUT_MS = 4_000
const RECONNECT_MS = 100
const RECONNECT_MAX_MS = 500
const MESSAGE_BYTES_MAX = 64 * 1024 * 1024

/** Opens a client for one resolved address. It connects at the first call. */
export function openGrpc({ host, port, address, secure, tls }: OpenTarget): EtcdRpc {
  const target = address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
  const client = new Etcd3({
    hosts: `${secure ? 'https' : 'http'}://${target}`,
    faultHandling: { host: () => onceOnly, global: onceOnly },
    grpcOptions: {
      'grpc.enable_retries': 0,
      'grpc.keepalive_time_ms': KEEPALIVE_MS,
      'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
      'grpc.initial_reconnect_backoff_ms': RECONNECT_MS,
      'grpc.min_reconnect_backoff_ms': RECONNECT_MS,
      'grpc.max_reconnect_backoff_ms': RECONNECT_MAX_MS,
      'grpc.max_receive_message_length': MESSAGE_BYTES_MAX,
      // The certificate names the host, while we connect to its cached address.
      ...(address === host ? {} : { 'grpc.ssl_target_name_override': host }),
    },
    ...(secure ? { credentials: credentialsOf(tls) } : {}),
  })
  return new GrpcRpc(client)
}

function credentialsOf(tls: OpenTarget['tls']): NonNullable<IOptions['credentials']> {
  const { ca, cert, key } = tls ?? {}
  return {
    // Without a CA of its own the library falls back to those that it ships.
    rootCertificate: ca as Buffer,
    ...(cert === undefined ? {} : { certChain: cert }),
    ...(key === undefined ? {} : { privateKey: key }),
  }
}

class GrpcRpc implements EtcdRpc {
  readonly #client: Etcd3

  constructor(client: Etcd3) {
    this.#client = client
  }

  async range({ key, rangeEnd, isLocal, keysOnly }: RangeRequest, call: CallContext): Promise<RangeAnswer> {
    const request = {
      key,
      ...(rangeEnd === undefined ? {} : { range_end: rangeEnd }),
      serializable: isLocal === true,
      keys_only: keysOnly === true,
    }
    const { header, kvs } = await this.#client.kv.range(request, callOptions(call))
    return { header: headerOf(header), keys: kvs.map(storedKey) }
  }

  async txn(request: TxnRequest, call: CallContext): Promise<TxnAnswer> {
    const { header, succeeded } = await this.#client.kv.txn(encodeTxn(request), callOptions(call))
    return { header: headerOf(header), succeeded }
  }

  async grant(ttlSeconds: number, call: CallContext): Promise<LeaseAnswer> {
    const answer = await this.#client.leaseClient.leaseGrant({ TTL: ttlSeconds }, callOptions(call))
    return leaseOf(answer)
  }

  /** One renewal over a stream of its own: a stream that is kept would sit on a member that has gone silent. */
  async keepAlive(leaseId: bigint, call: CallContext): Promise<LeaseAnswer> {
    const stream = await this.#client.leaseClient.leaseKeepAlive(callOptions(call))
    try {
      const answer = await new Promise<ILeaseKeepAliveResponse>((resolve, reject) => {
        stream.on('data', resolve)
        stream.on('error', reject)
        stream.on('end', () => reject(new Error('the stream ended without an answer')))
        stream.write({ ID: leaseId.toString() })
      })
      return leaseOf(answer)
    } finally {
      stream.end()
      stream.cancel()
    }
  }

  async timeToLive(leaseId: bigint, call: CallContext): Promise<LeaseAnswer> {
    const request = { ID: leaseId.toString() }
    const answer = await this.#client.leaseClient.leaseTimeToLive(request, callOptions(call))
    return { ...leaseOf(answer), grantedSeconds: Number(answer.grantedTTL) }
  }

  async revoke(leaseId: bigint, call: CallContext) {
    const request = { ID: leaseId.toString() }
    const { header } = await this.#client.leaseClient.leaseRevoke(request, callOptions(call))
    return { header: headerOf(header) }
  }

  async members(call: CallContext) {
    const { header, members } = await this.#client.cluster.memberList({}, callOptions(call))
    return {
      header: headerOf(header),
      members: members.map(({ ID: id, name, clientURLs: clientUrls }) => ({ id, name, clientUrls })),
    }
  }

  async status(call: CallContext) {
    const { header, version, leader, dbSize } = await this.#client.maintenance.status(callOptions(call))
    return { header: headerOf(header), version, leaderId: leader, dbBytes: BigInt(dbSize) }
  }

  async authenticate(name: string, password: string, call: CallContext): Promise<string> {
    const { token } = await this.#client.auth.authenticate({ name, password }, callOptions(call))
    return token
  }

  async watch(request: WatchRequest, on: WatchHandlers, call: CallContext): Promise<WatchConnection> {
    const duplex = await this.#client.watchClient.watch(callOptions(call))
    duplex.on('data', response => on.onMessage(messageOf(response)))
    duplex.on('error', error => on.onError(error))
    duplex.on('end', () => on.onEnd())
    duplex.write({
      create_request: {
        key: request.key,
        range_end: request.rangeEnd,
        progress_notify: true,
        ...(request.from === undefined ? {} : { start_revision: request.from.toString() }),
      },
    })
    return {
      askForLife: () => void duplex.write({ progress_request: {} }),
      cancel: () => duplex.cancel(),
    }
  }

  close(): void {
    this.#client.close()
  }
}

function headerOf(header: IResponseHeader): Header {
  return {
    clusterId: header.cluster_id,
    memberId: header.member_id,
    revision: BigInt(header.revision),
    raftTerm: BigInt(header.raft_term),
  }
}

function storedKey(kv: IKeyValue): StoredKey {
  return {
    key: kv.key,
    value: kv.value,
    createRevision: BigInt(kv.create_revision),
    modRevision: BigInt(kv.mod_revision),
    leaseId: BigInt(kv.lease),
  }
}

function leaseOf(answer: {
  readonly header: unknown
  readonly ID: string
  readonly TTL: string
}): LeaseAnswer {
  const ttlSeconds = Number(answer.TTL)
  const header = headerOf(answer.header as IResponseHeader)
  return { header, id: BigInt(answer.ID), ttlSeconds, grantedSeconds: ttlSeconds }
}

function encodeTxn({ compare, success }: TxnRequest): ITxnRequest {
  return { compare: compare.map(encodeCompare), success: success.map(encodeOperation) }
}

function encodeCompare({ key, target, revision }: Compare): NonNullable<ITxnRequest['compare']>[number] {
  if (target === 'mod') return { key, result: 'Equal', target: 'Mod', mod_revision: revision.toString() }
  return { key, result: 'Equal', target: 'Create', create_revision: revision.toString() }
}

function encodeOperation(operation: Operation): NonNullable<ITxnRequest['success']>[number] {
  const { key } = operation
  if (operation.kind === 'put') {
    return { request_put: { key, value: operation.value, lease: operation.leaseId.toString() } }
  }
  const { rangeEnd } = operation
  return { request_delete_range: { key, ...(rangeEnd === undefined ? {} : { range_end: rangeEnd }) } }
}

function messageOf(response: IWatchResponse): WatchMessage {
  const { canceled, cancel_reason: reason, compact_revision: compacted } = response
  return {
    header: headerOf(response.header),
    isCreated: response.created,
    canceled: canceled ? { reason, compactRevision: BigInt(compacted) } : undefined,
    events: response.events.map(({ type, kv }) => ({
      kind: type === 'Put' ? ('put' as const) : ('delete' as const),
      kv: storedKey(kv),
    })),
  }
}
