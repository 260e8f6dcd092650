// Which backend a listener's next session goes to.

import type { HostPort } from '../cluster/member.ts'
import { addressBytes } from '../config/proxy/access.ts'
import type { ListenerConfig, ServerOptions } from '../config/proxy/types.ts'
import type { Clock } from '../platform/clock.ts'
import type { Backend } from './backend.ts'
import { type Candidate, chooseNext, isFree, rampedWeight, type Turns } from './balance.ts'
import { mayStillLead } from './former-leader.ts'
import { serverAt } from './pool-members.ts'
import type { Router } from './router.ts'

/** Who looks for a server. */
export interface Seeker {
  /** Servers that have been tried. */
  readonly tried: ReadonlySet<string>
  /** The client's address. */
  readonly source: string | undefined
  /** One of these by name that it would rather go to than take its turn. */
  draw?(candidates: readonly Candidate[]): string | undefined
}

/** `full`: there are servers, and none has a place. `none`: there is no server. */
export type Choice =
  | { readonly kind: 'backend'; readonly backend: Backend; readonly isFallback: boolean }
  | { readonly kind: 'full' }
  | { readonly kind: 'none' }

/** Chooses backends for one listener. */
export interface Pool {
  choose(seeker: Seeker): Choice
  /** Would a session find a place now? Changes nothing. */
  hasRoom(): boolean
  /** Is there no server at all, full ones included? */
  isEmpty(): boolean
  /**
   * Where a cancel request with an unknown key may belong: a TLS session hides its key. Servers that take no new sessions have
   * their old ones; one that may have been leader once and is not believed to be one now is never among them.
   */
  candidates(): readonly Backend[]
  /** What is said of this server. */
  optionsOf(backend: Backend): Pick<ServerOptions, 'sendProxy' | 'source' | 'connectionsMax'>
}

const none: Choice = { kind: 'none' }

/** The pool that a listener's configuration asks for. */
export function createPool(
  config: ListenerConfig,
  router: Router,
  clock: Clock,
  random: () => number = Math.random,
): Pool {
  return new RoutedPool(config, router, clock, random)
}

/** What the file says of a backend with this address. */
interface Found {
  readonly address: HostPort
  readonly server: ServerOptions | undefined
}

class RoutedPool implements Pool {
  readonly #config: ListenerConfig
  readonly #router: Router
  readonly #clock: Clock
  readonly #random: () => number
  readonly #byKey: ReadonlyMap<string, ServerOptions>
  readonly #hasHostNames: boolean
  readonly #found = new WeakMap<Backend, Found>()
  #turns: Turns = new Map()

  constructor(config: ListenerConfig, router: Router, clock: Clock, random: () => number) {
    this.#config = config
    this.#router = router
    this.#clock = clock
    this.#random = random
    // Of two lines for one address the first counts.
    this.#byKey = new Map(config.servers.toReversed().map(server => [this.#keyOf(server), server]))
    this.#hasHostNames = config.servers.some(({ address }) => addressBytes(address.host) === undefined)
  }

  choose(seeker: Seeker): Choice {
    const { tried } = seeker
    const members = this.#members()
    if (members.length === 0) return this.#fallback(tried)
    const [only] = members
    // The usual case: nobody has a turn to keep.
    if (only !== undefined && members.length === 1 && !tried.has(only.name) && isFree(this.#candidate(only)))
      return { kind: 'backend', backend: only, isFallback: false }
    const candidates = members.filter(({ name }) => !tried.has(name)).map(backend => this.#candidate(backend))
    const drawn = candidates.length < 2 ? undefined : seeker.draw?.(candidates.filter(isFree))
    const wanted = members.find(member => member.name === drawn)
    if (wanted !== undefined) return { kind: 'backend', backend: wanted, isFallback: false }
    const { balance } = this.#config
    // A session's address costs a system call.
    const source = balance.kind === 'source' ? seeker.source : undefined
    const draws = balance.kind === 'random' ? balance.draws : 0
    const randoms = Array.from({ length: draws }, () => this.#random())
    const { name, turns } = chooseNext(candidates, { kind: balance.kind, source, randoms }, this.#turns)
    this.#turns = turns
    const backend = members.find(member => member.name === name)
    if (backend !== undefined) return { kind: 'backend', backend, isFallback: false }
    // Servers that are full will have a place again; servers that all refused are as good as none.
    return candidates.some(({ weight }) => weight > 0) ? { kind: 'full' } : this.#fallback(tried)
  }

  hasRoom(): boolean {
    const members = this.#members()
    if (members.length > 0) return members.some(backend => isFree(this.#candidate(backend)))
    return this.#config.fallback === 'leader' && this.#router.writeBackend() !== undefined
  }

  isEmpty(): boolean {
    if (this.#members().length > 0) return false
    return this.#config.fallback !== 'leader' || this.#router.writeBackend() === undefined
  }

  candidates(): readonly Backend[] {
    const { name, pool, fallback } = this.#config
    const leader = this.#router.believedLeader()
    if (pool === 'leader') return leader === undefined ? [] : [leader]
    const found = new Set(this.#members())
    for (const backend of this.#router.backends.values()) if (this.#mayHold(backend)) found.add(backend)
    if (fallback === 'leader' && leader !== undefined) found.add(leader)
    const { leadership, health } = this.#router
    if (leadership.epoch === undefined) return [...found]
    const checks = this.#router.checksOf(name)
    return [...found].filter(
      backend =>
        backend === leader ||
        !mayStillLead(backend.retiredAtMs, health.get(backend.name), checks?.get(backend.name)),
    )
  }

  /** May it have sessions of this listener though it takes none now? Those of another proxy are not counted here. */
  #mayHold(backend: Backend): boolean {
    const { name, pool } = this.#config
    if (pool === 'servers' && this.#serverOf(backend) === undefined) return false
    const health = this.#router.health.get(backend.name)
    const isReplica = health?.answer?.role === 'replica'
    if (isReplica && health?.silence === undefined) return true
    const isResting = this.#router.table.rests.get(name)?.includes(backend.name) === true
    return (isReplica || isResting) && backend.sessionsOf(name) > 0
  }

  optionsOf(backend: Backend): Pick<ServerOptions, 'sendProxy' | 'source' | 'connectionsMax'> {
    return this.#serverOf(backend) ?? this.#config.serverDefaults
  }

  /** Backends that take sessions of this listener, in their fixed order. */
  #members(): readonly Backend[] {
    if (this.#config.pool === 'leader') {
      const leader = this.#router.writeBackend()
      return leader === undefined ? [] : [leader]
    }
    return this.#router.poolBackends(this.#config.name)
  }

  #fallback(tried: ReadonlySet<string>): Choice {
    if (this.#config.pool === 'leader' || this.#config.fallback !== 'leader') return none
    const leader = this.#router.writeBackend()
    if (leader === undefined || tried.has(leader.name)) return none
    if (!isFree(this.#candidate(leader))) return { kind: 'full' }
    return { kind: 'backend', backend: leader, isFallback: true }
  }

  #candidate(backend: Backend): Candidate {
    const { name } = backend
    const server = this.#serverOf(backend)
    return {
      name,
      weight: server === undefined ? 1 : this.#weightOf(name, server),
      sessions: backend.sessionsOf(this.#config.name),
      connectionsMax: (server ?? this.#config.serverDefaults).connectionsMax,
    }
  }

  #weightOf(name: string, { weight, slowStartMs }: ServerOptions): number {
    if (slowStartMs <= 0) return weight
    const upSinceMs = this.#router.leavers.upSinceMs(this.#config.name, name)
    const sinceMs = upSinceMs === undefined ? Number.POSITIVE_INFINITY : this.#clock.monotonicMs() - upSinceMs
    return rampedWeight(weight, slowStartMs, sinceMs)
  }

  /** Asked for several times in each session: what was found counts for as long as the backend has this address. */
  #serverOf(backend: Backend): ServerOptions | undefined {
    const known = this.#found.get(backend)
    if (known?.address === backend.address) return known.server
    const server = this.#findServer(backend)
    this.#found.set(backend, { address: backend.address, server })
    return server
  }

  #findServer(backend: Backend): ServerOptions | undefined {
    const found = this.#byKey.get(this.#keyOf(backend))
    if (found !== undefined || !this.#hasHostNames) return found
    return serverAt(this.#config.servers, backend.name, backend.address)
  }

  /** The file may call a member anything, but its own servers by their names. */
  #keyOf({ name, address }: Pick<ServerOptions, 'name' | 'address'>): string {
    return this.#config.pool === 'servers' ? name : `${address.host}:${address.port}`
  }
}
