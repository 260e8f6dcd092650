// The keys of one virtual IP in etcd, and the lease that they hang on. `pgherd/vip/<name>` is the owner's, absent when there
// is none; `pgherd/vip/<name>/<id>` is each candidate's. Both hang on the candidate's lease and end with it.

import { parseJsonObject, printJson } from '../cluster/json.ts'
import type { ClusterView, KeyValue } from '../cluster/view.ts'
import type { Dcs, Outcome } from '../dcs/dcs.ts'
import type { Clock } from '../platform/clock.ts'
import { Deadline } from '../platform/deadline.ts'
import type { Candidate, ElectionView, OwnerKey } from './decide.ts'

/** A tenth of the lease stays unused: what a clock may be wrong and an act may take. */
const MARGIN = 0.1

export interface ElectionOptions {
  readonly clock: Clock
  readonly dcs: Dcs
  readonly name: string
  readonly ttlSeconds: number
  readonly onLease: (leaseId: bigint) => void
}

export class Election {
  readonly #options: ElectionOptions
  readonly #ownerKey: string
  #lease: { readonly id: bigint; readonly ttlMs: number } | undefined
  /** Never to be renewed again, and given back when etcd answers. */
  #abandoned: bigint | undefined
  #renewedFromMs = Number.NEGATIVE_INFINITY
  #provenFromMs = Number.NEGATIVE_INFINITY
  /** What our candidate key says, so that it is written only when that changes. */
  #registered: string | undefined

  constructor(options: ElectionOptions) {
    this.#options = options
    this.#ownerKey = `pgherd/vip/${options.name}`
  }

  get leaseId(): bigint | undefined {
    return this.#lease?.id
  }

  /** How often the lease must be renewed and the key looked at. */
  get paceMs(): number {
    return (this.#lease?.ttlMs ?? this.#options.ttlSeconds * 1000) / 5
  }

  /**
   * Monotonic time until which nobody else can hold the owner key, if we do. Both parts count from before the question left.
   * A renewal alone proves too little: a raft leader that is cut off answers it on its own, while the others have elected
   * another one. The read proves that no election came before it, and a new raft leader gives every lease its whole time.
   */
  get safeUntilMs(): number {
    if (this.#lease === undefined) return Number.NEGATIVE_INFINITY
    return Math.min(this.#renewedFromMs, this.#provenFromMs) + this.#lease.ttlMs * (1 - MARGIN)
  }

  /** Gets a lease, or renews the one we have. Rejects when etcd does not answer in time. */
  async renew(): Promise<void> {
    const { dcs, ttlSeconds, onLease } = this.#options
    await this.#giveBack()
    if (this.#lease === undefined) {
      const granted = await dcs.grantLease(ttlSeconds, this.callBy())
      this.#lease = { id: granted.id, ttlMs: granted.ttlSeconds * 1000 }
      this.#renewedFromMs = granted.sentAtMs
      this.#provenFromMs = Number.NEGATIVE_INFINITY
      this.#registered = undefined
      onLease(granted.id)
      return
    }
    const renewal = await dcs.keepAlive(this.#lease.id, this.callBy())
    if (renewal.outcome === 'won') this.#renewedFromMs = renewal.lease.sentAtMs
    if (renewal.outcome === 'lost') this.#lease = undefined
  }

  /** Reads the keys, linearizable. Rejects when etcd does not answer in time. */
  async read(): Promise<ElectionView> {
    const sentAtMs = this.#options.clock.monotonicMs()
    const view = await this.#options.dcs.read(this.callBy())
    this.#provenFromMs = sentAtMs
    return parseElection(view, this.#options.name)
  }

  /** Makes our candidate key say this. */
  async register(me: Candidate): Promise<void> {
    const value = printJson({ name: me.name, priority: me.priority, impaired: me.isImpaired })
    if (this.#lease === undefined || this.#registered === value) return
    const key = `${this.#ownerKey}/${me.id}`
    const written = await this.#options.dcs.write(
      [],
      [{ kind: 'put', key, value, leaseId: this.#lease.id }],
      this.callBy(),
    )
    if (written.outcome === 'won') this.#registered = value
  }

  /** Writes the owner key if there is none. Without an answer it may be ours all the same: read it. */
  async acquire(me: Candidate): Promise<Outcome> {
    if (this.#lease === undefined) return 'lost'
    const value = printJson({ id: me.id, name: me.name })
    const { outcome } = await this.#options.dcs.write(
      [{ kind: 'absent', key: this.#ownerKey }],
      [{ kind: 'put', key: this.#ownerKey, value, leaseId: this.#lease.id }],
      this.callBy(),
    )
    return outcome
  }

  /** Deletes our owner key, if it is still the one that was read. */
  async giveUp({ createRevision }: OwnerKey): Promise<void> {
    await this.#options.dcs.write(
      [{ kind: 'create-revision', key: this.#ownerKey, revision: createRevision }],
      [{ kind: 'delete', key: this.#ownerKey }],
      this.callBy(),
    )
  }

  /** Ends the lease, and with it every key of ours. Without an answer it ends by itself. */
  async leave(): Promise<void> {
    this.abandon()
    await this.#giveBack()
  }

  /**
   * From now on nothing that our lease holds is ours, whatever etcd says: our guard may be giving it back at this moment. It is
   * given back with the next call that etcd answers, and ends by itself otherwise.
   */
  abandon(): void {
    this.#abandoned = this.#lease?.id ?? this.#abandoned
    this.#lease = undefined
    this.#registered = undefined
  }

  async #giveBack(): Promise<void> {
    const id = this.#abandoned
    if (id === undefined) return
    const outcome = await this.#options.dcs.revokeLease(id, this.callBy())
    if (outcome !== 'unreachable' && this.#abandoned === id) this.#abandoned = undefined
  }

  /** By when a call of one turn must be over. */
  callBy(): Deadline {
    return Deadline.in(this.#options.clock, this.paceMs * 2)
  }
}

/** Whether a change of this key matters to the election. */
export function isElectionKey(key: string, name: string): boolean {
  return key === `pgherd/vip/${name}` || key.startsWith(`pgherd/vip/${name}/`)
}

/** The election's keys out of everything that was read; what cannot be read counts as absent, an owner never does. */
export function parseElection(view: ClusterView, name: string): ElectionView {
  const prefix = `vip/${name}/`
  const candidates: Candidate[] = []
  for (const [key, kv] of view.own) {
    if (!key.startsWith(prefix)) continue
    const candidate = parseCandidate(key.slice(prefix.length), kv)
    if (candidate !== undefined) candidates.push(candidate)
  }
  const owner = view.own.get(`vip/${name}`)
  return { owner: owner === undefined ? undefined : parseOwner(owner), candidates }
}

function parseCandidate(id: string, { value }: KeyValue): Candidate | undefined {
  const { name, priority, impaired } = parseJsonObject(value) ?? {}
  if (typeof name !== 'string' || typeof priority !== 'number') return undefined
  return { id, name, priority, isImpaired: impaired === true }
}

function parseOwner({ value, leaseId, createRevision }: KeyValue): OwnerKey {
  const { id, name } = parseJsonObject(value) ?? {}
  const text = (one: unknown) => (typeof one === 'string' ? one : 'somebody')
  return { id: text(id), name: text(name), leaseId, createRevision }
}
