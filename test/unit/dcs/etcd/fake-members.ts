// Etcd members for unit tests of our choices: each answers a range, a transaction or a renewal as the test says.

import { Calls } from '../../../../src/dcs/etcd/calls.ts'
import { type Endpoint, Endpoints, type Send } from '../../../../src/dcs/etcd/endpoints.ts'
import { Leases } from '../../../../src/dcs/etcd/lease.ts'
import type {
  EtcdRpc,
  Header,
  StoredEvent,
  WatchConnection,
  WatchHandlers,
  WatchMessage,
  WatchRequest,
} from '../../../../src/dcs/etcd/rpc.ts'
import { RaftTerms } from '../../../../src/dcs/etcd/terms.ts'
import { Wire } from '../../../../src/dcs/etcd/wire.ts'
import { noDcsMetrics } from '../../../../src/dcs/metrics.ts'
import type { Tell } from '../../../../src/dcs/tell.ts'
import { raceAbort } from '../../../../src/platform/deadline.ts'
import { silentLogger } from '../../../../src/platform/log.ts'
import type { FakeClock } from '../../../support/fake-clock.ts'

/** How a member answers just now. */
export interface Manner {
  readonly term?: number
  readonly revision?: number
  readonly delayMs?: number
  readonly error?: string
  readonly ttl?: number
  /** What is left of a lease, in seconds. */
  readonly left?: number
  readonly clusterId?: string
}

function header(revision: number, term = 2, clusterId = '1'): Header {
  return { clusterId, memberId: '1', revision: BigInt(revision), raftTerm: BigInt(term) }
}

/** The member's end of one watch stream. */
export class FakeStream implements WatchConnection {
  /** First revision that the client asked for; undefined for "from now on". */
  readonly from: bigint | undefined
  progressRequests = 0
  isCanceled = false
  #term = 2
  readonly #handlers: WatchHandlers

  readonly #memberId: string

  constructor(memberId: string, { from }: WatchRequest, handlers: WatchHandlers) {
    this.#memberId = memberId
    this.from = from
    this.#handlers = handlers
  }

  askForLife(): void {
    this.progressRequests += 1
  }

  cancel(): void {
    this.isCanceled = true
  }

  created(revision: number, clusterId = '1'): void {
    this.#send(revision, clusterId, { isCreated: true })
  }

  /** All that it says from now on comes from this raft term. */
  inTerm(term: number): this {
    this.#term = term
    return this
  }

  progress(revision: number): void {
    this.#send(revision, '1', {})
  }

  /** Puts of key `k<revision>`, one for each revision. */
  events(...revisions: readonly number[]): void {
    this.#send(revisions.at(-1) ?? 0, '1', { events: revisions.map(putAt) })
  }

  compacted(at: number): void {
    this.#send(at, '1', { canceled: { reason: '', compactRevision: BigInt(at) } })
  }

  canceled(reason: string): void {
    this.#send(0, '1', { canceled: { reason, compactRevision: 0n } })
  }

  fail(why: string): void {
    this.#handlers.onError(new Error(why))
  }

  end(): void {
    this.#handlers.onEnd()
  }

  #send(revision: number, clusterId: string, more: Partial<WatchMessage>): void {
    const empty = { isCreated: false, canceled: undefined, events: [] }
    const from = { ...header(revision, this.#term, clusterId), memberId: this.#memberId }
    this.#handlers.onMessage({ header: from, ...empty, ...more })
  }
}

function putAt(number: number): StoredEvent {
  const [revision, text] = [BigInt(number), String(number)]
  const key = Buffer.from(`/service/x/k${text}`)
  const kv = { key, value: Buffer.from(text), createRevision: revision, modRevision: revision, leaseId: 0n }
  return { kind: 'put', kv }
}

export class FakeMember implements Endpoint {
  readonly name: string
  readonly learnedFrom: string | undefined
  okAtMs = Number.NEGATIVE_INFINITY
  failedAtMs = Number.NEGATIVE_INFINITY
  clusterId: string | undefined
  memberId: string | undefined
  manner: Manner = {}
  isClosed = false
  tokenDoubts = 0
  /** Names of the requests that arrived, probes included. */
  readonly requests: string[] = []
  /** Watch streams opened here, the latest last. */
  readonly streams: FakeStream[] = []
  /** Client addresses that its member list names, by member id. */
  list: Readonly<Record<string, string>> = {}
  readonly #clock: FakeClock

  constructor(name: string, clock: FakeClock, learnedFrom?: string) {
    this.name = name
    this.learnedFrom = learnedFrom
    this.#clock = clock
  }

  /** Each request takes its time, and ends when it is given up, as real ones do. */
  async call<T>(send: Send<T>, signal: AbortSignal): Promise<T> {
    return raceAbort(send(this.#rpc(), { signal }), signal)
  }

  doubtToken(): void {
    this.tokenDoubts += 1
  }

  async nextAddress(): Promise<void> {}

  renew(): void {}

  close(): void {
    this.isClosed = true
  }

  #rpc(): EtcdRpc {
    const rpc: Partial<EtcdRpc> = {
      range: ({ isLocal }) => this.#answer(isLocal === true ? 'probe' : 'range', { keys: [] }),
      txn: () => this.#answer('txn', { succeeded: true }),
      grant: ttlSeconds => this.#answer('grant', { id: 7n, ttlSeconds, grantedSeconds: ttlSeconds }),
      keepAlive: id => {
        const { ttl: ttlSeconds = 5 } = this.manner
        return this.#answer('keepalive', { id, ttlSeconds, grantedSeconds: ttlSeconds })
      },
      timeToLive: id => {
        const { ttl: grantedSeconds = 5, left: ttlSeconds = grantedSeconds } = this.manner
        return this.#answer('timetolive', { id, ttlSeconds, grantedSeconds })
      },
      members: () => {
        const members = Object.entries(this.list).map(([id, url]) => ({ id, name: id, clientUrls: [url] }))
        return this.#answer('members', { members })
      },
      watch: async (request, handlers) => {
        const stream = new FakeStream(this.name, request, handlers)
        this.streams.push(stream)
        return stream
      },
    }
    return rpc as EtcdRpc
  }

  async #answer<T extends object>(request: string, body: T): Promise<T & { header: Header }> {
    this.requests.push(request)
    const { term, revision = 10, delayMs = 0, error, clusterId } = this.manner
    if (delayMs > 0) await this.#clock.sleep(delayMs)
    if (error !== undefined) throw new Error(error)
    const own = this.memberId === undefined ? {} : { memberId: this.memberId }
    return { ...body, header: { ...header(revision, term, clusterId), memberId: this.name, ...own } }
  }
}

/**
 * Members `m0`, `m1`, ... with calls and leases over them; `m0` is preferred, one attempt has 1 s. Their cluster is known
 * already, unless `isFirstContact`.
 */
export function fakeEtcd(clock: FakeClock, size: number, isFirstContact = false) {
  const members = Array.from({ length: size }, (_, index) => new FakeMember(`m${index}`, clock))
  const endpoints = new Endpoints(members, clock, 0)
  const wire = new Wire('/service/x/')
  const terms = new RaftTerms()
  if (!isFirstContact) terms.accept({ clusterId: '1', revision: 0n, raftTerm: 0n })
  const told: string[] = []
  const tell: Tell = (kind, says) => void told.push(`${kind} ${says}`)
  const shared = { endpoints, terms, clock, logger: silentLogger, metrics: noDcsMetrics, tell }
  const calls = new Calls({ ...shared, wire, retryTimeoutMs: 1_000 * size })
  return { ...shared, members, wire, calls, told, leases: new Leases({ ...shared, calls }) }
}
