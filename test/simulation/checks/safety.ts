// What must hold at every instant. Told by the model at the instants at which something happens; keeps what it needs to
// compare and throws a Violation.
//
// An epoch here is a promotion: the model numbers them in the order of time. A server keeps its number through restarts.

import type { Condition, Write } from '../../../src/dcs/dcs.ts'
import { type Process, THAW_SPREAD_MS } from '../core/machine.ts'
import type { Counts } from '../counts.ts'
import type { EtcdStore, TxnResult } from '../etcd/store.ts'
import type { SimMember } from '../member.ts'
import type { ClientWrite, WalRecord } from '../postgres/data-directory.ts'
import type { SimServer } from '../postgres/server.ts'
import type { SimProxy } from '../proxy.ts'
import type { Settings } from '../settings.ts'
import { checkLeaderWrite, checkNewLeader, takesLead } from './leader.ts'
import { checkSyncPromise } from './sync.ts'
import { Violation } from './violation.ts'

export interface SafetyParts {
  readonly settings: Settings
  readonly counts: Counts
  readonly store: EtcdStore
  members(): readonly SimMember[]
  member(name: string): SimMember | undefined
  nowMs(): number
}

/** Only the holder of the leader key may write these; the name of the writer is known to the model. */
const LEADERS_KEYS: ReadonlySet<string> = new Set(['status', 'history', 'sync', 'failsafe'])

/** The fence ticks every 100 ms and kills in two looks; what it began it has done by then. */
const FENCE_MS = 500
/** When it has run for this long after its machine's waking, an agent's fence has compared the clocks. */
const SUSPEND_SEEN_MS = 150

export class Safety {
  readonly #parts: SafetyParts
  #newestAcknowledged = 0
  #newestForwarded = 0
  #acknowledged: WalRecord[] = []
  /** Acknowledged late by a server that was overtaken, with a standby that nobody leads: nobody counts on them. */
  readonly #unattended = new Set<ClientWrite>()
  /** By `asker>peer`: the revision of the `sync` key when a peer's answer came. */
  readonly #heard = new Map<string, bigint>()
  #newestTimeline = 0
  #isDeletedByHand = false

  constructor(parts: SafetyParts) {
    this.#parts = parts
  }

  #newestPrimary: SimServer | undefined
  #newestReign = 0

  /** Every acknowledged record, in order. */
  get acknowledged(): readonly WalRecord[] {
    return this.#acknowledged
  }

  /** A proxy passed an acknowledgement on to a client. */
  onForwarded({ name, process }: SimProxy, write: ClientWrite, reign: number): void {
    if (this.#unattended.has(write)) {
      throw new Violation(
        'unattended-row-through-a-proxy',
        `${name} passed on row ${write.id}, which an overtaken server and a standby without an agent confirmed`,
      )
    }
    if (reign >= this.#newestForwarded) this.#newestForwarded = reign
    else if (this.#wasInItsSocket(process, write)) this.#parts.counts.add('late words of a thawed proxy')
    else {
      throw new Violation(
        'older-epoch-through-a-proxy',
        `${name} passed on an acknowledgement of promotion ${reign} after one of ${this.#newestForwarded}`,
      )
    }
  }

  /**
   * A proxy that stood still for less than a lease, over a handover in order, may pass on what it had received before: the word
   * is late and true, for the new primary has the row.
   */
  #wasInItsSocket({ lastStop }: Process, write: ClientWrite): boolean {
    const { nowMs, settings } = this.#parts
    const isThawing = nowMs() - lastStop.endedAtMs <= THAW_SPREAD_MS
    const wasShort = lastStop.tookMs < settings.ttlSeconds * 1000
    const isKept = this.#newestPrimary?.data?.wal.some(record => record.write === write) === true
    return isThawing && wasShort && isKept
  }

  /** A peer has answered an agent that asked whether it may lead. */
  onHeard(asker: string, peer: string): void {
    this.#heard.set(`${asker}>${peer}`, this.#syncRevision)
  }

  get #syncRevision(): bigint {
    return this.#parts.store.key('sync')?.modRevision ?? 0n
  }

  /** Until somebody takes it again. */
  onLeaderKeyDeleted(): void {
    this.#isDeletedByHand = true
  }

  /**
   * A member told a proxy that it leads. By its own clock that word ends before the lease can: the key is its own still. The
   * exceptions: a pause, in which nobody is elected; the other members' word in failsafe mode, which outlives the key; a key
   * that somebody deleted; and the first tick of the fence after a suspend, of which the clock knows nothing.
   */
  onLeaderClaimed(name: string): void {
    const leader = this.#parts.store.key('leader')?.value
    if (leader === name) return
    const member = this.#parts.member(name)
    if (member?.agent?.status().isPaused === true) return
    if ((member?.process?.seenResumeForMs ?? 0) < SUSPEND_SEEN_MS) return
    if (leader === undefined && (this.#parts.settings.isFailsafe || this.#isDeletedByHand)) return
    throw new Violation(
      'claims-the-lead',
      `${name} says that it leads while ${leader ?? 'nobody'} has the key`,
    )
  }

  /** A server told a client, directly or towards a proxy, that a commit is durable. */
  onAcknowledged(server: SimServer, record: WalRecord): void {
    this.#acknowledged.push(record)
    if (this.#parts.settings.durability !== 'async') {
      const sync = this.#parts.store.key('sync')?.value
      checkSyncPromise(
        sync,
        [record],
        name => this.#parts.member(name)?.server,
        `${server.name} acknowledged`,
      )
    }
    if (record.reign >= this.#newestAcknowledged && !this.#isMissed(record)) {
      this.#newestAcknowledged = record.reign
      return
    }
    this.#parts.counts.add('acknowledged by an overtaken server')
    const says = `${server.name} acknowledged under promotion ${record.reign} after one under ${Math.max(this.#newestAcknowledged, this.#newestReign)}`
    if (this.#parts.settings.durability === 'async') this.#checkFence(server, says)
    // A machine that slept after its standby had confirmed the commit tells its client when it wakes: nobody can take that
    // word back, and it is true, for the new primary has the row. One that the new primary lacks is the catastrophe.
    else if (this.#newestPrimary?.data?.has(record) === true) {
      this.#parts.counts.add('late words about kept rows')
      this.#checkFence(server, says)
    } else if (this.#wasConfirmedUnattended(server, record)) {
      // Two faults at once: the machine slept, and the standby has no agent, or none for long enough, that leads it away
      // from the old leader. Until the waking agent's fence acts, such a pair confirms rows. Nobody counts on them, as long
      // as no proxy passes one of them on: that is checked where proxies are.
      this.#acknowledged.pop()
      if (record.write !== undefined) this.#unattended.add(record.write)
      this.#parts.counts.add('late words confirmed by an unattended standby')
      this.#checkFence(server, says)
    } else throw new Violation('two-epochs-in-sync-mode', says)
  }

  /** In sync modes: overtaken by a promotion without this row, though nothing was acknowledged under that one yet. */
  #isMissed(record: WalRecord): boolean {
    if (this.#parts.settings.durability === 'async' || record.reign >= this.#newestReign) return false
    return this.#newestPrimary?.data?.has(record) === false
  }

  #wasConfirmedUnattended(server: SimServer, record: WalRecord): boolean {
    const others = this.#parts
      .members()
      .filter(member => member.server !== server && member.server.data?.has(record) === true)
    return others.length > 0 && others.every(member => member.atWorkForMs() <= this.#lookAndStopMs)
  }

  /** An agent that is back has the time of one look at etcd and one stop. */
  get #lookAndStopMs(): number {
    const { retryTimeoutSeconds, loopWaitSeconds } = this.#parts.settings
    return FENCE_MS + (2 * retryTimeoutSeconds + loopWaitSeconds) * 1000
  }

  /**
   * Async mode: a server whose agent is at work is never overtaken: the fence has ended it before the lease could. An
   * agent that was killed or stopped cannot fence; once it is back it has the time of one look at etcd and one stop. One
   * that believes the cluster to be paused must not.
   */
  #checkFence(server: SimServer, says: string): void {
    const { counts } = this.#parts
    const member = this.#parts.member(server.name)
    const atWorkMs = member?.atWorkForMs() ?? 0
    counts.max('overtaken server acknowledged while its agent was at work for, ms', Math.round(atWorkMs))
    // Paused, nothing is stopped; a leader that is cut off does not hear that the pause is over.
    if (member?.agent?.status().isPaused === true) return
    if (member !== undefined) this.#checkWatchdog(member, says)
    if (atWorkMs > this.#lookAndStopMs) {
      throw new Violation(
        'two-epochs-with-a-working-fence',
        `${says}, its agent at work for ${Math.round(atWorkMs)} ms`,
      )
    }
  }

  /**
   * Where a watchdog is required, a machine whose agent is killed or stands still is reset before its lease ends: nothing of
   * it is left that could acknowledge. A suspended machine's watchdog sleeps with it, and a pause disarms it.
   */
  #checkWatchdog({ machine }: SimMember, says: string): void {
    const { settings, counts } = this.#parts
    if (settings.watchdog !== 'required' || settings.isGentle) return
    if (this.#parts.nowMs() - machine.resumedAtMs < 3 * settings.ttlSeconds * 1000) return
    if (counts.get('paused') > 0) return
    throw new Violation('two-epochs-with-a-watchdog', says)
  }

  /** In sync modes a new primary has every acknowledged commit. */
  onPromoted(server: SimServer): void {
    this.#newestPrimary = server
    this.#newestReign = server.data?.reign ?? this.#newestReign
    const lost = this.lostOn(server)
    if (lost === 0) return
    this.#parts.counts.add('acknowledged rows missing at a promotion', lost)
    if (this.#parts.settings.durability === 'async') return
    throw new Violation(
      'acknowledged-write-lost',
      `${server.name} was promoted without ${lost} acknowledged rows`,
    )
  }

  /** All is well again: in sync modes the leader has every row that anybody was told of, whenever that was. */
  onEnd(leader: SimServer, isStandby: boolean): void {
    const lost = this.lostOn(leader)
    this.#parts.counts.add('acknowledged rows lost', lost)
    if (lost === 0 || isStandby || this.#parts.settings.durability === 'async') return
    throw new Violation('acknowledged-write-lost', `${leader.name} leads without ${lost} acknowledged rows`)
  }

  lostOn(server: SimServer): number {
    const { data } = server
    if (data === undefined) return this.#acknowledged.length
    return this.#acknowledged.reduce((lost, record) => (data.has(record) ? lost : lost + 1), 0)
  }

  onCorrupted(says: string): void {
    throw new Violation('history-mixed', says)
  }

  /** Watches every transaction: who may write which key, and under which compare. */
  onTxn(client: string, conditions: readonly Condition[], writes: readonly Write[], result: TxnResult): void {
    if (result.kind !== 'applied') return
    for (const write of writes) {
      if (write.kind === 'delete-prefix')
        throw new Violation('whole-scope-deleted', `${client} deleted ${write.prefix}`)
      if (write.key === 'leader') {
        this.#checkLeader(client, conditions, write)
        this.#isDeletedByHand = false
      } else if (write.kind === 'put' && LEADERS_KEYS.has(write.key)) this.#checkOwner(client, write, writes)
      if (write.kind === 'put' && write.key === 'sync') {
        const server = (name: string) => this.#parts.member(name)?.server
        checkSyncPromise(write.value, this.#promised(client), server, `${client} wrote the key`)
      }
      if (write.kind === 'put' && write.key === 'history') this.#checkHistory(client, write.value)
    }
  }

  /** The rows that a write of the key answers for. Where a mode is on for a while only: those that were not lost before. */
  #promised(client: string): readonly WalRecord[] {
    if (this.#parts.settings.durability !== 'async') return this.#acknowledged
    const data = this.#parts.member(client)?.server.data
    return this.#acknowledged.filter(record => data?.has(record) === true)
  }

  #checkLeader(client: string, conditions: readonly Condition[], write: Write): void {
    const { store, settings } = this.#parts
    checkLeaderWrite(client, conditions, write)
    if (!takesLead(conditions, write)) return
    checkNewLeader(
      {
        client,
        server: this.#parts.member(client)?.server,
        sync: store.key('sync')?.value,
        newestTimeline: this.#newestTimeline,
        heard: peer => this.#heard.get(`${client}>${peer}`) === this.#syncRevision,
      },
      settings,
    )
  }

  #checkOwner(client: string, write: Write & { kind: 'put' }, writes: readonly Write[]): void {
    const isReleasing = writes.some(other => other.kind === 'delete' && other.key === 'leader')
    const leader = this.#parts.store.key('leader')?.value
    if (leader === client || isReleasing) return
    throw new Violation(
      'late-write-of-a-former-leader',
      `${client} wrote ${write.key} while ${leader ?? 'nobody'} leads`,
    )
  }

  #checkHistory(client: string, value: string): void {
    const rows: unknown = JSON.parse(value)
    const timeline = Array.isArray(rows) ? rows.length + 1 : 0
    const { durability, checkTimeline } = this.#parts.settings
    // Asynchronous and without check_timeline, a member that never saw the newest timeline may lead when nobody else is left.
    const mayGoBack = durability === 'async' && !checkTimeline
    if (timeline < this.#newestTimeline && !mayGoBack) {
      throw new Violation('history-went-back', `${client} wrote a history up to timeline ${timeline}`)
    }
    this.#newestTimeline = timeline
  }
}
