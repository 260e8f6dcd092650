// Etcd members for unit tests of our choices: each answers a range, a transaction or a renewal as the test says.

import { EventEmitter } from 'node:events'
import type { Etcd3, IWatchRequest } from 'etcd3'
import { Calls } from '../../../../src/dcs/etcd/calls.ts'
import { type Endpoint, Endpoints } from '../../../../src/dcs/etcd/endpoints.ts'
import { Leases } from '../../../../src/dcs/etcd/lease.ts'
import { RaftTerms } from '../../../../src/dcs/etcd/terms.ts'
import { Wire } from '../../../../src/dcs/etcd/wire.ts'
import { noDcsMetrics } from '../../../../src/dcs/metrics.ts'
import { silentLogger } from '../../../../src/platform/log.ts'
import type { FakeClock } from '../../../support/fake-clock.ts'

/** How a member answers just now. */
export interface Manner {
  readonly term?: number
  readonly revision?: number
  readonly delayMs?: number
  readonly error?: string
  readonly ttl?: number
}

/** The member's end of one watch stream. */
export class FakeStream extends EventEmitter {
  /** What the client wrote. */
  readonly requests: IWatchRequest[] = []
  isCanceled = false

  write(request: IWatchRequest): void {
    this.requests.push(request)
  }

  end(): void {}

  cancel(): void {
    this.isCanceled = true
  }

  /** First revision that the client asked for; undefined for "from now on". */
  get from(): string | undefined {
    return this.requests[0]?.create_request?.start_revision?.toString()
  }

  get progressRequests(): number {
    return this.requests.filter(request => request.progress_request !== undefined).length
  }

  created(revision: number, clusterId = '1'): void {
    this.#send(revision, clusterId, { created: true })
  }

  progress(revision: number): void {
    this.#send(revision, '1', {})
  }

  /** Puts of key `k<revision>`, one for each revision. */
  events(...revisions: readonly number[]): void {
    const events = revisions.map(revision => ({ type: 'Put', kv: keyValue(revision) }))
    this.#send(revisions.at(-1) ?? 0, '1', { events })
  }

  compacted(at: number): void {
    this.#send(at, '1', { canceled: true, compact_revision: String(at) })
  }

  #send(revision: number, clusterId: string, more: object): void {
    const header = { cluster_id: clusterId, member_id: '1', revision: String(revision), raft_term: '2' }
    const rest = { created: false, canceled: false, compact_revision: '0', cancel_reason: '', events: [] }
    this.emit('data', { header, ...rest, ...more })
  }
}

function keyValue(revision: number): object {
  const text = String(revision)
  const key = Buffer.from(`/service/x/k${text}`)
  return {
    key,
    value: Buffer.from(text),
    create_revision: text,
    mod_revision: text,
    version: '1',
    lease: '0',
  }
}

export class FakeMember implements Endpoint {
  readonly name: string
  okAtMs = Number.NEGATIVE_INFINITY
  failedAtMs = Number.NEGATIVE_INFINITY
  manner: Manner = {}
  /** Names of the requests that arrived, probes included. */
  readonly requests: string[] = []
  /** Watch streams opened here, the latest last. */
  readonly streams: FakeStream[] = []
  readonly #clock: FakeClock

  constructor(name: string, clock: FakeClock) {
    this.name = name
    this.#clock = clock
  }

  async client(): Promise<Etcd3> {
    const kv = {
      range: (request: { serializable?: boolean }) =>
        this.#answer(request.serializable === true ? 'probe' : 'range', { kvs: [] }),
      txn: () => this.#answer('txn', { succeeded: true }),
    }
    const leaseClient = { leaseKeepAlive: async () => this.#stream() }
    const watchClient = {
      watch: async () => {
        const stream = new FakeStream()
        this.streams.push(stream)
        return stream
      },
    }
    return { kv, leaseClient, watchClient } as unknown as Etcd3
  }

  async nextAddress(): Promise<void> {}

  close(): void {}

  async #answer<T extends object>(request: string, body: T): Promise<T & { header: object }> {
    this.requests.push(request)
    const { term = 2, revision = 10, delayMs = 0, error } = this.manner
    if (delayMs > 0) await this.#clock.sleep(delayMs)
    if (error !== undefined) throw new Error(error)
    const header = { cluster_id: '1', member_id: '1', revision: String(revision), raft_term: String(term) }
    return { ...body, header }
  }

  #stream(): object {
    const stream = new EventEmitter()
    const write = ({ ID }: { ID: string }) => {
      this.#answer('keepalive', { ID, TTL: String(this.manner.ttl ?? 5) }).then(
        answer => stream.emit('data', answer),
        (error: unknown) => stream.emit('error', error),
      )
    }
    return Object.assign(stream, { write, end: () => {}, cancel: () => {} })
  }
}

/** Members `m0`, `m1`, ... with calls and leases over them; `m0` is preferred, one attempt has 1 s. */
export function fakeEtcd(clock: FakeClock, size: number) {
  const members = Array.from({ length: size }, (_, index) => new FakeMember(`m${index}`, clock))
  const endpoints = new Endpoints(members, clock, 0)
  const wire = new Wire('/service/x/')
  const terms = new RaftTerms()
  const shared = { endpoints, terms, clock, logger: silentLogger, metrics: noDcsMetrics }
  const calls = new Calls({ ...shared, wire, retryTimeoutMs: 1_000 * size })
  return { members, endpoints, terms, wire, calls, leases: new Leases({ ...shared, calls }) }
}
