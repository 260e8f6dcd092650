// A router fed by a store in memory and by scripted members, on a clock that the test holds.

import type { Event, EventDraft } from '../../../src/cluster/event.ts'
import { MemoryDcs } from '../../../src/dcs/memory.ts'
import { MemoryStore } from '../../../src/dcs/memory-store.ts'
import type { ProbeResult } from '../../../src/health/document.ts'
import { Prober } from '../../../src/health/prober.ts'
import type { Backend, Cuttable, Gate } from '../../../src/proxy/backend.ts'
import type { CutReason } from '../../../src/proxy/cut-reason.ts'
import { EtcdSource } from '../../../src/proxy/etcd-source.ts'
import { Narrator } from '../../../src/proxy/narrator.ts'
import type { SessionTotals } from '../../../src/proxy/outage.ts'
import type { RosterMember } from '../../../src/proxy/roster.ts'
import { Router } from '../../../src/proxy/router.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { answer, limits, memberOf, timing } from './facts.ts'

const PROBE_MS = 2
/** As in a proxy with its defaults. */
export const schedule = { ...timing, fastIntervalMs: 250, hurriedTimeoutMs: 250 }

/** What a scripted member answers; undefined: nothing. */
export interface Script {
  role: string
  state: string
  holdsLock: boolean
  timeline: number
  leaseLeftMs: number | undefined
  isSilent: boolean
}

/** A session that only remembers how it ended. */
export class Guest implements Cuttable {
  readonly backend: Backend
  readonly listener = 'write'
  readonly hasBegun = true
  readonly isIdle = false
  cutBecause: CutReason | undefined
  /** The gate of the term in which it began. */
  readonly gate: Gate

  constructor(backend: Backend) {
    this.backend = backend
    this.gate = backend.gate
    backend.join(this)
  }

  cut(reason: CutReason, _says?: string, onCut?: () => void): boolean {
    this.cutBecause = reason
    this.backend.leave(this)
    onCut?.()
    return true
  }
}

export class World {
  readonly clock = new FakeClock()
  readonly store = new MemoryStore({ clock: this.clock })
  readonly dcs = new MemoryDcs(this.store)
  readonly events: EventDraft[] = []
  readonly totals: SessionTotals = { cut: 0, held: 0 }
  readonly scripts = new Map<string, Script>()
  readonly router: Router
  readonly source: EtcdSource
  readonly #probers = new Map<string, Prober>()
  readonly #stopping = new AbortController()

  constructor() {
    const { clock } = this
    const events = { record: (draft: EventDraft) => void this.events.push(draft) }
    const { totals } = this
    const storeSilentMs = () => this.source.silentMs()
    const narrator = new Narrator({ clock, events, totals, storeSilentMs, scope: () => 'pgsql' })
    this.router = new Router(
      { clock, limits, timing, narrator },
      {
        onRouted: () => {},
        onMembers: members => this.#follow(members),
        onCurious: (member, delayMs) => this.#probers.get(member)?.kick(delayMs),
        onDoubt: () => this.source.refresh(),
      },
    )
    this.source = new EtcdSource({ clock, events, dcs: this.dcs, router: this.router })
  }

  start(): void {
    void this.source.run(this.#stopping.signal)
  }

  async close(): Promise<void> {
    this.#stopping.abort(new Error('over'))
    this.router.stop()
    for (const prober of this.#probers.values()) await prober.stop()
    this.store.close()
  }

  /** A member with its key; a replica unless told otherwise. */
  member(name: string, changes: Partial<Script> = {}): Script {
    const script: Script = {
      role: 'replica',
      state: 'running',
      holdsLock: false,
      timeline: 1,
      leaseLeftMs: undefined,
      isSilent: false,
      ...changes,
    }
    this.scripts.set(name, script)
    this.putMember(name)
    return script
  }

  putMember(name: string, changes: Readonly<Record<string, unknown>> = {}): void {
    const { raw } = memberOf(name, changes)
    this.store.txn([], [{ kind: 'put', key: `members/${name}`, value: JSON.stringify(raw) }])
  }

  /** Gives the leader key to `name` under a fresh lease, which is returned. Nobody keeps it alive. */
  lead(name: string, ttlSeconds = 30): bigint {
    const { id } = this.store.grant(ttlSeconds)
    this.store.txn([], [{ kind: 'put', key: 'leader', value: name, leaseId: id }])
    return id
  }

  dropKey(): void {
    this.store.txn([], [{ kind: 'delete', key: 'leader' }])
  }

  /** Makes `script` the primary that holds the lock. */
  promote(script: Script, timeline = script.timeline + 1): void {
    Object.assign(script, { role: 'primary', holdsLock: true, timeline })
  }

  /** A session where the write pool sends it; undefined: it would have to wait. */
  enter(): Guest | undefined {
    const backend = this.router.writeBackend()
    return backend === undefined ? undefined : new Guest(backend)
  }

  said(kind: Event['kind']): readonly string[] {
    return this.events.filter(event => event.kind === kind).map(event => event.says)
  }

  #follow(members: ReadonlyMap<string, RosterMember>): void {
    for (const name of members.keys()) {
      if (this.#probers.has(name)) continue
      const probe = { ask: (timeoutMs: number) => this.#ask(name, timeoutMs), close: async () => {} }
      const prober = new Prober(this.clock, probe, schedule, {
        onResult: result => this.router.applyProbe(name, result),
        isHurried: () => this.router.isHurried(name),
      })
      this.#probers.set(name, prober)
      prober.start()
    }
  }

  async #ask(name: string, timeoutMs: number): Promise<ProbeResult> {
    const sentAtMs = this.clock.monotonicMs()
    const script = this.scripts.get(name)
    if (script === undefined || script.isSilent) {
      await this.clock.sleep(timeoutMs)
      return { kind: 'silent', sentAtMs, why: 'no answer' }
    }
    const { holdsLock, isSilent: _isSilent, ...rest } = script
    const given = answer({ sentAtMs, statusCode: holdsLock ? 200 : 503, ...rest })
    await this.clock.sleep(PROBE_MS)
    return { kind: 'answer', answer: { ...given, receivedAtMs: this.clock.monotonicMs() } }
  }
}

/** A cluster of three with pg1 as its routed leader under a lease of `ttlSeconds`. */
export async function ledByPg1(ttlSeconds = 30): Promise<World & { readonly leaseId: bigint }> {
  const world = new World()
  world.promote(world.member('pg1'), 1)
  world.member('pg2')
  world.member('pg3')
  const leaseId = world.lead('pg1', ttlSeconds)
  world.start()
  await world.clock.advance(20)
  return Object.assign(world, { leaseId })
}
