// The requests over etcd's HTTP/JSON gateway: for servers, proxies and networks that gRPC does not get through. The same
// answers as grpc.ts gives.

import { isIP } from 'node:net'
import { Pool } from 'undici'
import { isObject, type JsonObject } from '../../cluster/json.ts'
import { messageOf } from '../../platform/errors.ts'
import { EtcdFault } from './faults.ts'
import {
  encodeOperation,
  encodeRange,
  errorOf,
  headerOf,
  leaseOf,
  listOf,
  parseLine,
  storedKey,
  textOf,
} from './http-json.ts'
import { HttpWatch } from './http-watch.ts'
import type {
  Answered,
  CallContext,
  EtcdRpc,
  LeaseAnswer,
  MembersAnswer,
  RangeAnswer,
  RangeRequest,
  StatusAnswer,
  TxnAnswer,
  TxnRequest,
  WatchConnection,
  WatchHandlers,
  WatchRequest,
} from './rpc.ts'
import type { OpenTarget } from './target.ts'

const CONNECT_MS = 5_000
const CONNECTIONS_MAX = 32
const IDLE_MS = 30_000
/** What went wrong before a request was written: surely not applied. */
const NOT_SENT =
  /ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|UND_ERR_CONNECT|ENOTFOUND|EAI_AGAIN|ERR_TLS|ERR_SSL|CERT|SELF_SIGNED|ISSUER|UNABLE_TO_/

/** Opens a client for one resolved address. It connects at the first call. */
export function openHttp({ host, port, address, secure, tls }: OpenTarget): EtcdRpc {
  const at = address.includes(':') ? `[${address}]` : address
  const pool = new Pool(`${secure ? 'https' : 'http'}://${at}:${port}`, {
    connections: CONNECTIONS_MAX,
    // Deadlines are the caller's, by its signal; a watch may be silent for hours.
    headersTimeout: 0,
    bodyTimeout: 0,
    keepAliveTimeout: IDLE_MS,
    allowH2: false,
    connect: {
      timeout: CONNECT_MS,
      ...tls,
      // The certificate names the host, while we connect to its cached address.
      ...(isIP(host) === 0 ? { servername: host } : {}),
    },
  })
  return new HttpRpc(pool, `${host}:${port}`)
}

class HttpRpc implements EtcdRpc {
  readonly #pool: Pool
  readonly #name: string

  constructor(pool: Pool, name: string) {
    this.#pool = pool
    this.#name = name
  }

  async range({ key, rangeEnd, isLocal, keysOnly }: RangeRequest, call: CallContext): Promise<RangeAnswer> {
    const range = {
      ...encodeRange(key, rangeEnd),
      serializable: isLocal === true,
      keys_only: keysOnly === true,
    }
    const answer = await this.#post('/v3/kv/range', range, call)
    return { header: headerOf(answer), keys: listOf(answer['kvs']).map(storedKey) }
  }

  async txn({ compare, success }: TxnRequest, call: CallContext): Promise<TxnAnswer> {
    const body = {
      compare: compare.map(({ key, target, revision }) => ({
        key: key.toString('base64'),
        result: 'EQUAL',
        target: target === 'mod' ? 'MOD' : 'CREATE',
        [`${target}_revision`]: revision.toString(),
      })),
      success: success.map(encodeOperation),
    }
    const answer = await this.#post('/v3/kv/txn', body, call)
    return { header: headerOf(answer), succeeded: answer['succeeded'] === true }
  }

  async grant(ttlSeconds: number, call: CallContext): Promise<LeaseAnswer> {
    return leaseOf(await this.#post('/v3/lease/grant', { TTL: String(ttlSeconds) }, call))
  }

  async keepAlive(leaseId: bigint, call: CallContext): Promise<LeaseAnswer> {
    return leaseOf(await this.#post('/v3/lease/keepalive', { ID: leaseId.toString() }, call))
  }

  async timeToLive(leaseId: bigint, call: CallContext): Promise<LeaseAnswer> {
    const answer = await this.#post('/v3/lease/timetolive', { ID: leaseId.toString() }, call)
    return { ...leaseOf(answer), grantedSeconds: Number(answer['grantedTTL'] ?? 0) }
  }

  async revoke(leaseId: bigint, call: CallContext): Promise<Answered> {
    return { header: headerOf(await this.#post('/v3/lease/revoke', { ID: leaseId.toString() }, call)) }
  }

  async members(call: CallContext): Promise<MembersAnswer> {
    const answer = await this.#post('/v3/cluster/member/list', {}, call)
    const members = listOf(answer['members']).map(member => ({
      id: textOf(member['ID']),
      name: textOf(member['name']),
      clientUrls: Array.isArray(member['clientURLs']) ? member['clientURLs'].map(url => String(url)) : [],
    }))
    return { header: headerOf(answer), members }
  }

  async status(call: CallContext): Promise<StatusAnswer> {
    const answer = await this.#post('/v3/maintenance/status', {}, call)
    const { version, leader, dbSize } = answer
    const dbBytes = BigInt(textOf(dbSize))
    return { header: headerOf(answer), version: textOf(version), leaderId: textOf(leader), dbBytes }
  }

  async authenticate(name: string, password: string, call: CallContext): Promise<string> {
    const { token } = await this.#post('/v3/auth/authenticate', { name, password }, call)
    return typeof token === 'string' ? token : ''
  }

  async watch(request: WatchRequest, handlers: WatchHandlers, call: CallContext): Promise<WatchConnection> {
    const open = (from: bigint | undefined, signal: AbortSignal) => {
      const create = {
        ...encodeRange(request.key, request.rangeEnd),
        progress_notify: true,
        ...(from === undefined ? {} : { start_revision: from.toString() }),
      }
      return this.#request('/v3/watch', { create_request: create }, { ...call, signal })
    }
    const look = (signal: AbortSignal) =>
      this.range({ key: request.key, isLocal: true, keysOnly: true }, { ...call, signal })
    return new HttpWatch({ open, look, from: request.from, signal: call.signal }, handlers)
  }

  close(): void {
    // Destroyed, not closed: requests under way end with their callers' signals or now.
    void this.#pool.destroy()
  }

  /** The whole answer; that of a streaming method is one line with a `result`. */
  async #post(path: string, body: object, call: CallContext): Promise<JsonObject> {
    const { statusCode, body: stream } = await this.#request(path, body, call)
    const text = await stream.text()
    const parsed = parseLine(text)
    const result = parsed['result']
    if (statusCode === 200 && parsed['error'] === undefined) return isObject(result) ? result : parsed
    throw errorOf(parsed, statusCode)
  }

  async #request(path: string, body: object, { signal, token }: CallContext) {
    const headers = {
      'content-type': 'application/json',
      // A member without a raft leader refuses at once instead of sitting on the request.
      'grpc-metadata-hasleader': 'true',
      ...(token === undefined ? {} : { authorization: token }),
    }
    try {
      return await this.#pool.request({ path, method: 'POST', headers, body: JSON.stringify(body), signal })
    } catch (error) {
      signal.throwIfAborted()
      const text = `${(error as NodeJS.ErrnoException).code ?? ''} ${messageOf(error)}`.trim()
      throw new EtcdFault(NOT_SENT.test(text) ? 'not-sent' : 'unanswered', this.#name, text, error)
    }
  }
}
