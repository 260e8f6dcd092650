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
import { type DcsMetrics, noDcsMetrics } from '../metrics.ts'
import { scopePrefix } from '../prefix.ts'
import type { StoreReport } from '../report.ts'
import { createTell, type Tell } from '../tell.ts'
import { Calls } from './calls.ts'
import { EtcdEndpoint } from './endpoint.ts'
import { Endpoints } from './endpoints.ts'
import { faultOf } from './faults.ts'
import { openGrpc } from './grpc.ts'
import { openHttp } from './http.ts'
import { inspectStore } from './inspect.ts'
import { Leases, outcomeOf } from './lease.ts'
import { type EndpointAddress, type EtcdOptions, parseEndpoint } from './options.ts'
import { fixedSecrets, type SecretSource } from './secrets.ts'
import { lookupEndpoints } from './srv.ts'
import { RaftTerms } from './terms.ts'
import { Tokens } from './tokens.ts'
import { Topology } from './topology.ts'
import { Watcher } from './watcher.ts'
import { Wire } from './wire.ts'

const RETRY_TIMEOUT_MS = 10_000
const WATCH_SILENCE_MS = 2_000

/** The Dcs over etcd, with what an operator may ask of it besides. */
export interface EtcdDcs extends Dcs {
  /** Asks every known endpoint how it is. Never throws: what does not answer by the deadline is reported as such. */
  inspect(by: Deadline): Promise<StoreReport>
}

/**
 * A client of one cluster's keys in etcd. Connects at the first call, so it never throws because etcd is away;
 * throws UserError when the list of endpoints is empty or malformed.
 */
export function createEtcdDcs(options: EtcdOptions): EtcdDcs {
  if (options.endpoints.length === 0 && options.srv === undefined && options.lookupSrv === undefined) {
    throw new UserError('etcd: no endpoint is configured: give hosts')
  }
  return new EtcdStore(options)
}

class EtcdStore implements EtcdDcs {
  readonly #options: EtcdOptions
  readonly #metrics: DcsMetrics
  readonly #tell: Tell
  readonly #wire: Wire
  readonly #secrets: SecretSource
  readonly #tokens: Tokens
  readonly #endpoints: Endpoints
  readonly #terms: RaftTerms
  readonly #calls: Calls
  readonly #leases: Leases
  readonly #topology: Topology
  readonly #watchers = new Set<Watcher>()
  readonly #stopListening: readonly (() => void)[]
  #isClosed = false

  constructor(options: EtcdOptions) {
    const { clock, logger, metrics = noDcsMetrics, retryTimeoutMs = RETRY_TIMEOUT_MS } = options
    this.#options = options
    this.#metrics = metrics
    this.#tell = createTell(
      clock,
      options.onEvent ?? (({ kind, says }) => logger.info(says, { event: kind })),
    )
    this.#wire = new Wire(scopePrefix(options.namespace, options.scope))
    this.#secrets = options.secrets ?? fixedSecrets({ tls: options.tls, auth: options.auth })
    this.#tokens = new Tokens({ clock, secrets: this.#secrets, onAuthenticated: this.#onAuthenticated })
    const addresses = options.endpoints.map(text => parseEndpoint(text))
    const startAt = options.startAt ?? Math.floor(Math.random() * addresses.length)
    this.#endpoints = new Endpoints(
      addresses.map(address => this.#open(address)),
      clock,
      startAt,
    )
    const terms = new RaftTerms()
    this.#terms = terms
    const shared = { endpoints: this.#endpoints, terms, clock, logger, metrics, tell: this.#tell }
    const findEndpoints = (by: Deadline) => this.#topology.find(by)
    this.#calls = new Calls({ ...shared, wire: this.#wire, retryTimeoutMs, findEndpoints })
    this.#leases = new Leases({ ...shared, calls: this.#calls })
    this.#topology = new Topology(
      {
        ...shared,
        calls: this.#calls,
        lookup: lookupOf(options),
        followMembers: options.followMembers ?? true,
        open: (address, learnedFrom) => this.#open(address, learnedFrom),
      },
      addresses,
    )
    this.#stopListening = [
      this.#endpoints.onPreferred(endpoint => this.#onPreferred(endpoint.name)),
      this.#secrets.onChange(({ tls }) => {
        if (tls) this.#endpoints.renew()
      }),
    ]
  }

  #open(address: EndpointAddress, learnedFrom?: string): EtcdEndpoint {
    const { clock, transport } = this.#options
    const open = transport === 'http' ? openHttp : openGrpc
    return new EtcdEndpoint(
      address,
      { clock, secrets: this.#secrets, tokens: this.#tokens, open },
      learnedFrom,
    )
  }

  async read(by: Deadline): Promise<ClusterView> {
    const { value, position } = await this.#calls.read('read the cluster', by, (rpc, call) =>
      rpc.range(this.#wire.range, call),
    )
    this.#topology.noteContact()
    return parseView(
      position,
      value.keys.map(kv => this.#wire.keyValue(kv)),
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
      const { value, position } = await this.#calls.write('write', by, (rpc, call) => rpc.txn(txn, call))
      if (value.succeeded) return { outcome: 'won', revision: position.revision }
      this.#onRefused(conditions, writes)
      return { outcome: 'lost', revision: undefined }
    } catch (error) {
      const fault = faultOf(error, 'etcd')
      const outcome = outcomeOf(fault)
      this.#options.logger.info(`etcd write of ${keysOf(writes)} is ${outcome}: ${fault.message}`, {
        event: 'dcs-write-failed',
      })
      return { outcome, revision: undefined }
    }
  }

  watch(options: WatchOptions): AsyncIterable<Notice> {
    const { clock, logger, watchSilenceMs = WATCH_SILENCE_MS } = this.#options
    const parts = {
      calls: this.#calls,
      endpoints: this.#endpoints,
      wire: this.#wire,
      terms: this.#terms,
      clock,
      logger,
    }
    const onClosed = (watcher: Watcher) => void this.#watchers.delete(watcher)
    const told = { metrics: this.#metrics, tell: this.#tell }
    const watcher = new Watcher({ ...parts, ...told, silenceMs: watchSilenceMs, onClosed }, options)
    if (!options.signal.aborted) this.#watchers.add(watcher)
    if (this.#isClosed) watcher.close()
    return watcher.notices
  }

  setRetryTimeout(durationMs: number): void {
    this.#calls.setRetryTimeout(durationMs)
  }

  async inspect(by: Deadline): Promise<StoreReport> {
    const parts = { calls: this.#calls, endpoints: this.#endpoints, topology: this.#topology }
    return inspectStore({ ...parts, wire: this.#wire, clock: this.#options.clock }, by)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    for (const stop of this.#stopListening) stop()
    for (const watcher of [...this.#watchers]) watcher.close()
    this.#topology.close()
    this.#calls.close()
    this.#tokens.close()
    this.#endpoints.close()
    this.#secrets.close()
  }

  readonly #onAuthenticated = (endpoint: string, result: string, says: string) => {
    this.#metrics.authentication(result)
    if (result === 'auth' || result === 'off') this.#tell(`dcs-auth-${result}`, says, { about: endpoint })
  }

  #onPreferred(name: string): void {
    this.#metrics.endpointChange(name)
    this.#tell('dcs-endpoint-changed', `etcd is asked at ${name} from now on`, { about: name })
  }

  /** A compare failed: somebody else was first, or a write came late. Ordinary in a race, worth a line all the same. */
  #onRefused(conditions: readonly Condition[], writes: readonly Write[]): void {
    const keys = keysOf(writes)
    this.#metrics.refusedCompare()
    const compared = conditions.map(({ kind, key }) => `${key} ${kind}`).join(', ')
    this.#tell('dcs-compare-refused', `etcd refused a write of ${keys}: it compared ${compared}`, {
      about: keys,
    })
  }
}

function keysOf(writes: readonly Write[]): string {
  return writes.map(write => (write.kind === 'delete-prefix' ? write.prefix : write.key)).join(', ')
}

function lookupOf({
  srv,
  lookupSrv,
}: EtcdOptions): ((by: Deadline) => Promise<readonly string[]>) | undefined {
  return lookupSrv ?? (srv === undefined ? undefined : by => lookupEndpoints(srv, by))
}
