// Asks other members for their own word, GET /patroni, once each and in parallel. Used by the race and by the check
// of candidates. An answer that did not come in time is `isReachable: false`; nothing here decides what that means.

import { Agent, request } from 'undici'
import { asBigint, asInteger, asText, isObject, type JsonObject, parseJsonObject } from '../cluster/json.ts'
import type { Lsn, Timeline } from '../cluster/lsn.ts'
import { isTagged, type Tags } from '../cluster/member.ts'
import type { Deadline } from '../platform/deadline.ts'
import { noCredentials, type RestCredentials } from './rest-client.ts'

/** What a member says of itself now. Fields are undefined when the answer did not hold them. */
export interface PeerAnswer {
  readonly name: string
  readonly isReachable: boolean
  /** Its server runs out of recovery. */
  readonly isPrimary: boolean
  readonly state: string | undefined
  readonly role: string | undefined
  /** Write position of a primary, max(received, replayed) of a standby. */
  readonly walPosition: Lsn | undefined
  readonly timeline: Timeline | undefined
  /** It receives WAL just now: its position may still move. */
  readonly isStreaming: boolean
  /** It runs pgherd. */
  readonly isOurs: boolean
  readonly tags: Tags
  readonly mayLead: boolean
  readonly failoverPriority: number
  readonly watchdogFailed: boolean
  /** How long its storage has not answered a write; undefined while it does, and where nobody looks. */
  readonly storageSilentMs: number | undefined
  /** Why its storage refuses writes; undefined while it takes them, and where nobody looks. */
  readonly storageRefusal: string | undefined
  /** Only members that run pgherd say it. */
  readonly leaseLeftMs: number | undefined
}

/** How long one question may take at most, however late the caller's deadline is. */
export const PEER_TIMEOUT_MS = 2_000
const BODY_BYTES_MAX = 256 * 1024

/** Asks `GET <api url>` of members. One question each, no retry, a connection of its own each time. */
export class PeerClient {
  #agent: Agent
  #authorization: string | undefined

  /** `credentials`: certificates and account of this member. */
  constructor(credentials: RestCredentials = noCredentials) {
    this.#agent = agentFor(credentials)
    this.#authorization = credentials.authorization
  }

  /** From the next question on. */
  setCredentials(credentials: RestCredentials): void {
    const old = this.#agent
    this.#agent = agentFor(credentials)
    this.#authorization = credentials.authorization
    void old.close().catch(() => {})
  }

  /** Asks all of `peers` (name -> api_url) at once; settles by `by` or after two seconds, never rejects. */
  askAll(
    peers: ReadonlyMap<string, string>,
    by: Deadline,
    signal?: AbortSignal,
  ): Promise<readonly PeerAnswer[]> {
    return Promise.all([...peers].map(([name, url]) => this.ask(name, url, by, signal)))
  }

  async ask(name: string, url: string, by: Deadline, signal?: AbortSignal): Promise<PeerAnswer> {
    try {
      const work = (inner: AbortSignal) => this.#get(url, inner)
      const text = await by.within(PEER_TIMEOUT_MS).run(`GET ${url}`, work, signal)
      const document = parseJsonObject(text)
      return document === undefined ? unreachable(name) : parsePeerAnswer(name, document)
    } catch {
      return unreachable(name)
    }
  }

  async close(): Promise<void> {
    await this.#agent.destroy()
  }

  async #get(url: string, signal: AbortSignal): Promise<string> {
    const authorization = this.#authorization
    const headers = { connection: 'close', ...(authorization === undefined ? {} : { authorization }) }
    const { body } = await request(url, { dispatcher: this.#agent, signal, headers })
    const chunks: Buffer[] = []
    let bytes = 0
    for await (const chunk of body) {
      bytes += (chunk as Buffer).length
      if (bytes > BODY_BYTES_MAX) throw new Error('the answer is too long')
      chunks.push(chunk as Buffer)
    }
    return Buffer.concat(chunks).toString('utf8')
  }
}

/** Connections of their own for each question, with our certificates. */
export function agentFor({ connect }: RestCredentials): Agent {
  return new Agent({ pipelining: 0, keepAliveTimeout: 1, connect: { ...connect, timeout: PEER_TIMEOUT_MS } })
}

/** A member that gave no usable answer. */
export function unreachable(name: string): PeerAnswer {
  return {
    name,
    isReachable: false,
    isPrimary: false,
    state: undefined,
    role: undefined,
    walPosition: undefined,
    timeline: undefined,
    isStreaming: false,
    isOurs: false,
    tags: {},
    mayLead: false,
    failoverPriority: 0,
    watchdogFailed: false,
    storageSilentMs: undefined,
    storageRefusal: undefined,
    leaseLeftMs: undefined,
  }
}

/** Reads a status document; older agents write `wal` for `xlog` and `master` for `primary`. */
export function parsePeerAnswer(name: string, document: JsonObject): PeerAnswer {
  const role = asText(document['role'])
  const positions = objectAt(document, 'xlog') ?? objectAt(document, 'wal') ?? {}
  const location = asBigint(positions['location'])
  const tags = objectAt(document, 'tags') ?? {}
  const own = objectAt(document, 'pgherd') ?? {}
  const mayLead = !isTagged(tags, 'nofailover', 'failover_priority')
  return {
    name,
    isReachable: true,
    isPrimary: location !== undefined || role === 'primary' || role === 'master',
    state: asText(document['state']),
    role: role === 'master' ? 'primary' : role,
    walPosition: location ?? laterOf(positions),
    timeline: asInteger(document['timeline']),
    isStreaming: document['replication_state'] === 'streaming',
    isOurs: isObject(document['pgherd']),
    tags,
    mayLead,
    failoverPriority: mayLead ? (asInteger(tags['failover_priority']) ?? 1) : 0,
    watchdogFailed: document['watchdog_failed'] === true,
    storageSilentMs: asNumber(own['storage_unanswered_ms']),
    storageRefusal: asText(own['storage_refuses']),
    leaseLeftMs: asNumber(own['lease_left_ms']),
  }
}

function laterOf(positions: JsonObject): Lsn | undefined {
  const received = asBigint(positions['received_location'])
  const replayed = asBigint(positions['replayed_location'])
  if (received === undefined || replayed === undefined) return received ?? replayed
  if (received > replayed) return received
  return replayed
}

function objectAt(values: JsonObject, key: string): JsonObject | undefined {
  const value = values[key]
  return isObject(value) ? value : undefined
}

function asNumber(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined
}
