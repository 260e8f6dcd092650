// The Dcs over etcd's v3 API. Puts the parts together; holds no logic of its own.

import type { ClusterView } from '../../cluster/view.ts'
import { parseView } from '../../cluster/view.ts'
import type { Deadline } from '../../platform/deadline.ts'
import { UserError } from '../../platform/errors.ts'
import type {
  Condition,
  Dcs,
  Lease,
  LeaseLeft,
  Notice,
  Outcome,
  Renewal,
  WatchOptions,
  Write,
  Written,
} from '../dcs.ts'
import { noDcsMetrics } from '../metrics.ts'
import { scopePrefix } from '../prefix.ts'
import { Calls } from './calls.ts'
import { Endpoints, EtcdEndpoint } from './endpoints.ts'
import { faultOf } from './faults.ts'
import { Leases, outcomeOf } from './lease.ts'
import { type EtcdOptions, parseEndpoint } from './options.ts'
import { RaftTerms } from './terms.ts'
import { Watcher } from './watcher.ts'
import { Wire } from './wire.ts'

const RETRY_TIMEOUT_MS = 10_000
const WATCH_SILENCE_MS = 2_000

/**
 * A client of one cluster's keys in etcd. Connects at the first call, so it never throws because etcd is away;
 * throws UserError when the list of endpoints is empty or malformed.
 */
export function createEtcdDcs(options: EtcdOptions): Dcs {
  if (options.endpoints.length === 0) throw new UserError('etcd: no endpoint is configured: give hosts')
  return new EtcdDcs(options)
}

function endpointsOf(options: EtcdOptions): Endpoints {
  const all = options.endpoints.map(text => new EtcdEndpoint(parseEndpoint(text), options))
  return new Endpoints(all, options.clock, options.startAt ?? Math.floor(Math.random() * all.length))
}

class EtcdDcs implements Dcs {
  readonly #options: EtcdOptions
  readonly #wire: Wire
  readonly #endpoints: Endpoints
  readonly #calls: Calls
  readonly #leases: Leases
  readonly #watchers = new Set<Watcher>()
  #isClosed = false

  constructor(options: EtcdOptions) {
    const { clock, logger, metrics = noDcsMetrics, retryTimeoutMs = RETRY_TIMEOUT_MS } = options
    this.#options = options
    this.#wire = new Wire(scopePrefix(options.namespace, options.scope))
    this.#endpoints = endpointsOf(options)
    const shared = { endpoints: this.#endpoints, terms: new RaftTerms(), clock, logger, metrics }
    this.#calls = new Calls({ ...shared, wire: this.#wire, retryTimeoutMs })
    this.#leases = new Leases({ ...shared, calls: this.#calls })
  }

  async read(by: Deadline): Promise<ClusterView> {
    const { value, position } = await this.#calls.read('read the cluster', by, (client, options) =>
      client.kv.range(this.#wire.range, options),
    )
    return parseView(
      position,
      value.kvs.map(kv => this.#wire.keyValue(kv)),
    )
  }

  grantLease(ttlSeconds: number, by: Deadline): Promise<Lease> {
    return this.#leases.grant(ttlSeconds, by)
  }

  keepAlive(leaseId: bigint, by: Deadline): Promise<Renewal> {
    return this.#leases.keepAlive(leaseId, by)
  }

  leaseLeft(leaseId: bigint, by: Deadline): Promise<LeaseLeft> {
    return this.#leases.left(leaseId, by)
  }

  revokeLease(leaseId: bigint, by: Deadline): Promise<Outcome> {
    return this.#leases.revoke(leaseId, by)
  }

  async write(conditions: readonly Condition[], writes: readonly Write[], by: Deadline): Promise<Written> {
    const txn = this.#wire.txn(conditions, writes)
    try {
      const { value, position } = await this.#calls.write('write', by, (client, options) =>
        client.kv.txn(txn, options),
      )
      return value.succeeded
        ? { outcome: 'won', revision: position.revision }
        : { outcome: 'lost', revision: undefined }
    } catch (error) {
      const fault = faultOf(error, 'etcd')
      const outcome = outcomeOf(fault)
      const keys = writes.map(write => (write.kind === 'delete-prefix' ? write.prefix : write.key)).join(', ')
      this.#options.logger.info(`etcd write of ${keys} is ${outcome}: ${fault.message}`, {
        event: 'dcs-write-failed',
      })
      return { outcome, revision: undefined }
    }
  }

  watch(options: WatchOptions): AsyncIterable<Notice> {
    const { clock, logger, metrics = noDcsMetrics, watchSilenceMs = WATCH_SILENCE_MS } = this.#options
    const parts = { calls: this.#calls, endpoints: this.#endpoints, wire: this.#wire, clock, logger, metrics }
    const onClosed = (watcher: Watcher) => void this.#watchers.delete(watcher)
    const watcher = new Watcher({ ...parts, silenceMs: watchSilenceMs, onClosed }, options)
    if (!options.signal.aborted) this.#watchers.add(watcher)
    if (this.#isClosed) watcher.close()
    return watcher.notices
  }

  async close(): Promise<void> {
    this.#isClosed = true
    for (const watcher of [...this.#watchers]) watcher.close()
    this.#endpoints.close()
  }
}
