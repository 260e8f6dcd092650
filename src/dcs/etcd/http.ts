// The requests over etcd's HTTP/JSON gateway, for where gRPC does not get through. The same answers as grpc.ts gives.

import { isIP } from 'node:net'
import { Pool } from 'undici'
import { isObject, type JsonObject } from '../../cluster/json.ts'
import { messageOf } from '../../platform/errors.ts'
import * as json from './http-json.ts'
import { HttpWatch } from './http-watch.ts'
import type * as rpc from './rpc.ts'
import type { OpenTarget } from './target.ts'

/** Codes of a name that is not found, of a connect and of a TLS handshake: the request was surely not written. */
const NOT_SENT =
  /ECONNREFUSED|connect E(HOST|NET)UNREACH|UND_ERR_CONNECT|ENOTFOUND|EAI_AGAIN|ERR_TLS_|CERT|SELF_SIGNED|ISSUER|UNABLE_TO_/

/** Opens a client for one resolved address. It connects at the first call. */
export function openHttp({ host, port, address, secure, tls }: OpenTarget): rpc.EtcdRpc {
  const at = address.includes(':') ? `[${address}]` : address
  const pool = new Pool(`${secure ? 'https' : 'http'}://${at}:${port}`, {
    connections: 32,
    // Deadlines are the caller's, by its signal; a watch may be silent for hours.
    headersTimeout: 0,
    bodyTimeout: 0,
    keepAliveTimeout: 30_000,
    allowH2: false,
    connect: {
      timeout: 5_000,
      ...tls,
      // The certificate names the host, while we connect to its cached address.
      ...(isIP(host) === 0 ? { servername: host } : {}),
    },
  })
  return new HttpRpc(pool)
}

class HttpRpc implements rpc.EtcdRpc {
  readonly #pool: Pool

  constructor(pool: Pool) {
    this.#pool = pool
  }

  async range(request: rpc.RangeRequest, call: rpc.CallContext): Promise<rpc.RangeAnswer> {
    const { key, rangeEnd, isLocal: serializable = false, keysOnly: keys_only = false } = request
    const range = { ...json.encodeRange(key, rangeEnd), serializable, keys_only }
    const answer = await this.#post('/v3/kv/range', range, call)
    return { header: json.headerOf(answer), keys: json.listOf(answer['kvs']).map(json.storedKey) }
  }

  async txn({ compare, success }: rpc.TxnRequest, call: rpc.CallContext): Promise<rpc.TxnAnswer> {
    const body = {
      compare: compare.map(({ key, target, revision }) => ({
        key: key.toString('base64'),
        result: 'EQUAL',
        target: target === 'mod' ? 'MOD' : 'CREATE',
        [`${target}_revision`]: revision.toString(),
      })),
      success: success.map(json.encodeOperation),
    }
    const answer = await this.#post('/v3/kv/txn', body, call)
    return { header: json.headerOf(answer), succeeded: answer['succeeded'] === true }
  }

  async grant(ttlSeconds: number, call: rpc.CallContext): Promise<rpc.LeaseAnswer> {
    return json.leaseOf(await this.#post('/v3/lease/grant', { TTL: String(ttlSeconds) }, call))
  }

  async keepAlive(leaseId: bigint, call: rpc.CallContext): Promise<rpc.LeaseAnswer> {
    return json.leaseOf(await this.#post('/v3/lease/keepalive', { ID: leaseId.toString() }, call))
  }

  async timeToLive(leaseId: bigint, call: rpc.CallContext): Promise<rpc.LeaseAnswer> {
    const answer = await this.#post('/v3/lease/timetolive', { ID: leaseId.toString() }, call)
    return { ...json.leaseOf(answer), grantedSeconds: Number(answer['grantedTTL'] ?? 0) }
  }

  async revoke(leaseId: bigint, call: rpc.CallContext): Promise<rpc.Answered> {
    return { header: json.headerOf(await this.#post('/v3/lease/revoke', { ID: leaseId.toString() }, call)) }
  }

  async members(call: rpc.CallContext): Promise<rpc.MembersAnswer> {
    const answer = await this.#post('/v3/cluster/member/list', {}, call)
    const members = json.listOf(answer['members']).map(member => ({
      id: json.textOf(member['ID']),
      name: json.textOf(member['name']),
      clientUrls: Array.isArray(member['clientURLs']) ? member['clientURLs'].map(url => String(url)) : [],
    }))
    return { header: json.headerOf(answer), members }
  }

  async status(call: rpc.CallContext): Promise<rpc.StatusAnswer> {
    const answer = await this.#post('/v3/maintenance/status', {}, call)
    const { version, leader, dbSize } = answer
    const [dbBytes, leaderId] = [BigInt(json.textOf(dbSize)), json.textOf(leader)]
    return { header: json.headerOf(answer), version: json.textOf(version), leaderId, dbBytes }
  }

  async authenticate(name: string, password: string, call: rpc.CallContext): Promise<string> {
    const { token } = await this.#post('/v3/auth/authenticate', { name, password }, call)
    return typeof token === 'string' ? token : ''
  }

  async watch(request: rpc.WatchRequest, on: rpc.WatchHandlers, call: rpc.CallContext) {
    const open = (from: bigint | undefined, signal: AbortSignal) => {
      const create = {
        ...json.encodeRange(request.key, request.rangeEnd),
        progress_notify: true,
        ...(from === undefined ? {} : { start_revision: from.toString() }),
      }
      return this.#request('/v3/watch', { create_request: create }, { ...call, signal })
    }
    // No range: one read a turn is all that an idle agent costs the store.
    const look = (signal: AbortSignal) => this.status({ ...call, signal })
    return new HttpWatch({ open, look, from: request.from, signal: call.signal }, on)
  }

  close(): void {
    // Destroyed, not closed: requests under way end with their callers' signals or now.
    void this.#pool.destroy()
  }

  /** The whole answer; that of a streaming method is one line with a `result`. */
  async #post(path: string, body: object, call: rpc.CallContext): Promise<JsonObject> {
    const { statusCode, body: stream } = await this.#request(path, body, call)
    const parsed = json.parseLine(await stream.text())
    const { result } = parsed
    if (statusCode === 200 && parsed['error'] === undefined) return isObject(result) ? result : parsed
    throw json.errorOf(parsed, statusCode)
  }

  async #request(path: string, body: object, { signal, token }: rpc.CallContext) {
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
      throw new Error(NOT_SENT.test(text) ? `No connection established: ${text}` : text, { cause: error })
    }
  }
}
