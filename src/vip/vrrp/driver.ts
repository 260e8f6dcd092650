// One VRRP instance in this process: hears and sends adverts, follows its checks and its link, and tells the keeper of its
// addresses what the state machine decides. The machine decides alone; nothing here does.

import type { VrrpInstanceConfig } from '../../config/keepalived/types.ts'
import type { Clock, Timer } from '../../platform/clock.ts'
import type { Deadline } from '../../platform/deadline.ts'
import { messageOf } from '../../platform/errors.ts'
import type { Logger } from '../../platform/log.ts'
import type { AddressKeeper } from '../addresses.ts'
import type { VipDriver, VipEvents, VipState, VipStatus, VipWish } from '../driver.ts'
import type { LinkState } from './link.ts'
import {
  initialState,
  type MachineAction,
  type MachineEvent,
  type MachineSettings,
  type MachineState,
  type Role,
  step,
} from './machine.ts'
import type { VrrpMetrics } from './metrics.ts'
import { commandsFor } from './notify.ts'
import { expectationOf, ownAdvert, settingsOf } from './own-advert.ts'
import type { OpenWire, Wire } from './raw-socket.ts'
import { type Arrival, judge } from './receive.ts'
import { RepeatGuard } from './repeat-guard.ts'
import { type Hindrance, hindranceOf, weighedOf } from './standing.ts'
import { stallLimitMs } from './timers.ts'
import { type CheckState, effectivePriority } from './tracking.ts'

/** After a take that the system refused. */
const TAKE_AGAIN_MS = 5_000
/** A guard that does not run so long after the start will not run in a moment: another process keeps an address. */
const LACKING_MS = 10_000
const SAME_LINE_EVERY_MS = 60_000

export interface VrrpDriverParts {
  readonly config: VrrpInstanceConfig
  readonly keeper: AddressKeeper
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: VrrpMetrics
  readonly openWire: OpenWire
  /** Our first address on the interface that is no virtual one; undefined while there is none. */
  readonly ownAddress: (config: VrrpInstanceConfig) => string | undefined
  readonly linkOf: (interfaceName: string) => LinkState | undefined
  readonly checkOf: (name: string) => CheckState
  /** Is vrrp_startup_delay over? */
  readonly mayBegin: () => boolean
  /** Runs a notify command. */
  readonly notify: (words: readonly string[]) => void
}

export class VrrpDriver implements VipDriver {
  readonly name: string
  readonly #parts: VrrpDriverParts
  readonly #repeats: RepeatGuard
  #settings: MachineSettings
  #state: MachineState
  #roleTold: Role = 'init'
  #sinceMs: number
  #says = 'not started'
  #wish: VipWish
  #wire: Wire | undefined
  /** Why the system does not let us take part, until it is tried again. */
  #trouble: string | undefined
  /** After `dropNow` nothing is sent any more. */
  #isDying = false
  #timer: Timer | undefined
  #retry: Timer | undefined
  #patience: Timer | undefined
  #patientUntilMs = Number.POSITIVE_INFINITY
  #events: VipEvents | undefined

  constructor(parts: VrrpDriverParts) {
    const { config, clock } = parts
    this.name = config.name
    this.#parts = parts
    this.#repeats = new RepeatGuard(clock, SAME_LINE_EVERY_MS)
    this.#settings = settingsOf(config, config.family === 4 ? '0.0.0.0' : '::')
    this.#state = initialState(this.#settings, config.priority)
    this.#sinceMs = clock.monotonicMs()
    this.#wish = { isEligible: true, priority: config.priority }
  }

  async start(events: VipEvents): Promise<void> {
    await this.#parts.keeper.open({
      onDropped: why => {
        this.#feed({ kind: 'lost', why })
        this.refresh()
      },
      onChanged: () => this.refresh(),
    })
    this.#events = events
    const { clock } = this.#parts
    this.#patientUntilMs = clock.monotonicMs() + LACKING_MS
    this.#patience = clock.setTimer(LACKING_MS, () => this.refresh())
    this.refresh()
  }

  wish(wish: VipWish): void {
    this.#wish = wish
    this.refresh()
  }

  /** Looks again at checks, links and the wish: something of them has changed. */
  refresh(): void {
    if (this.#events === undefined || this.#isDying || this.#state.role === 'stopped') return
    const { role } = this.#state
    if (role === 'init' && !this.#parts.mayBegin()) return
    const fault = this.#fault()
    const { config } = this.#parts
    const priority = effectivePriority(this.#basePriority(), weighedOf(config, this.#parts))
    if (fault === undefined && !this.#openWire()) return
    if (role === 'init' && fault?.isForNow === true) {
      this.#says = fault.why
      return
    }
    if (priority !== this.#state.priority) this.#feed({ kind: 'priority', priority })
    if (role === 'init' && this.#parts.keeper.lacks === fault?.why && fault !== undefined)
      this.#warn('vrrp-fault', `it takes no part: ${fault.why}`)
    if (fault !== undefined) this.#feed({ kind: 'fault', why: fault.why })
    else if (role === 'init') this.#feed({ kind: 'start' })
    else if (role === 'fault') this.#feed({ kind: 'recovered' })
  }

  status(): VipStatus {
    const { role, priority, master } = this.#state
    return {
      name: this.name,
      driver: 'vrrp',
      state: this.#vipState(role),
      says: this.#says,
      owner: role === 'master' ? this.#settings.address : master?.address,
      priority,
      addresses: this.#parts.keeper.addresses,
      sinceMs: this.#sinceMs,
    }
  }

  /** Role and priority for metrics. */
  get reading(): { readonly instance: string; readonly isMaster: boolean; readonly priority: number } {
    const { role, priority } = this.#state
    return { instance: this.name, isMaster: role === 'master', priority }
  }

  dropNow(why: string): void {
    this.#isDying = true
    this.#parts.keeper.drop(why)
    if (this.#state.role === 'master') this.#send(0)
    this.#closeWire()
  }

  async stop(_by: Deadline): Promise<void> {
    this.#feed({ kind: 'stop' })
    this.#timer?.cancel()
    this.#retry?.cancel()
    this.#patience?.cancel()
    this.#closeWire()
    await this.#parts.keeper.close()
  }

  #basePriority(): number {
    return this.#wish.isEligible ? this.#wish.priority : this.#parts.config.priority
  }

  #fault(): Hindrance | undefined {
    const { config, keeper, clock } = this.#parts
    if (!this.#wish.isEligible) return { why: this.#wish.why, isForNow: false }
    if (this.#trouble !== undefined) return { why: this.#trouble, isForNow: false }
    const { lacks } = keeper
    // As master it would send the others away from addresses that it cannot hold.
    if (lacks !== undefined) return { why: lacks, isForNow: clock.monotonicMs() < this.#patientUntilMs }
    return hindranceOf(config, this.#parts)
  }

  /** Has sockets for our present address. False when that is not possible: it is tried again. */
  #openWire(): boolean {
    if (this.#wire !== undefined) return true
    const failure = this.#tryOpenWire()
    if (failure !== undefined) this.#giveUpFor(failure)
    return failure === undefined
  }

  /** Why it is not possible; undefined when it was. */
  #tryOpenWire(): string | undefined {
    const { config, ownAddress, openWire } = this.#parts
    try {
      const source = config.sourceAddress ?? ownAddress(config)
      if (source === undefined) throw new Error(`${config.interfaceName} has no address of its own`)
      this.#wire = openWire({
        interfaceName: config.interfaceName,
        family: config.family,
        source,
        group: config.group,
        // Files that are the same on every host name this one, too.
        peers: config.peers?.filter(peer => peer !== source),
        onArrival: arrival => this.#onArrival(arrival),
      })
      this.#settings = settingsOf(config, source)
      return undefined
    } catch (error) {
      return messageOf(error)
    }
  }

  #closeWire(): void {
    this.#wire?.close()
    this.#wire = undefined
  }

  /** In fault for a while, then everything is tried anew. */
  #giveUpFor(why: string): void {
    this.#trouble = why
    this.#retry?.cancel()
    this.#retry = this.#parts.clock.setTimer(TAKE_AGAIN_MS, () => {
      this.#trouble = undefined
      this.refresh()
    })
    this.#feed({ kind: 'fault', why })
  }

  #onArrival(arrival: Arrival): void {
    const { config, metrics } = this.#parts
    const verdict = judge(expectationOf(config, this.#settings.address), arrival)
    if (verdict.kind === 'ignore') return
    if (verdict.kind === 'refuse') {
      metrics.refused(this.name, verdict.reason)
      this.#warn(
        `vrrp-refused ${verdict.reason} ${arrival.source}`,
        `advert of ${arrival.source} refused: ${verdict.says}`,
      )
      return
    }
    metrics.received(this.name)
    if (verdict.differs !== undefined) {
      this.#warn(
        `vrrp-differs ${arrival.source}`,
        `${arrival.source} tells other addresses: ${verdict.differs}`,
      )
    }
    const { priority, intervalMs } = verdict.advert
    this.#feed({ kind: 'advert', source: arrival.source, priority, intervalMs })
  }

  #feed(event: MachineEvent): void {
    const { clock, metrics } = this.#parts
    const result = step(this.#settings, this.#state, event, clock.monotonicMs())
    this.#state = result.state
    if (result.says !== undefined) this.#tell(result.says)
    if (result.stalledMs !== undefined) metrics.stalled(this.name)
    this.#actAll(result.actions, result.says ?? '')
    // Dropping may bring an event of its own in between: each role is told once.
    if (this.#state.role !== this.#roleTold) this.#onRole()
    this.#arm()
  }

  #arm(): void {
    const { clock } = this.#parts
    this.#timer?.cancel()
    const { wakeAtMs } = this.#state
    if (wakeAtMs === undefined) return
    this.#timer = clock.setTimer(wakeAtMs - clock.monotonicMs(), () => this.#feed({ kind: 'timer' }))
  }

  #actAll(actions: readonly MachineAction[], why: string): void {
    for (const action of actions) {
      if (action.kind === 'take') void this.#take()
      else if (action.kind === 'drop') this.#drop(why)
      else if (action.kind === 'announce') this.#parts.keeper.announce()
      else {
        const failure = this.#advertise(action.priority)
        // Of a master whose first advert did not leave nobody knows: it takes nothing.
        if (failure === undefined || !actions.some(({ kind }) => kind === 'take')) continue
        this.#giveUpFor(`adverts cannot be sent: ${failure}`)
        return
      }
    }
  }

  /** Why the advert did not leave. When the sockets send nothing, others are tried: our address may have been changed. */
  #advertise(priority: number): string | undefined {
    const { keeper } = this.#parts
    let failure = this.#send(priority)
    if (failure !== undefined && priority > 0 && !this.#isDying) {
      this.#closeWire()
      failure = this.#tryOpenWire() ?? this.#send(priority)
    }
    if (failure === undefined && priority > 0 && keeper.isHeld) keeper.extend(this.#untilMs())
    return failure
  }

  /** Peers take over no earlier than this, so nothing of ours may be on this host any more. */
  #untilMs(): number {
    return (this.#state.sentAtMs ?? this.#parts.clock.monotonicMs()) + stallLimitMs(this.#settings)
  }

  async #take(): Promise<void> {
    const { keeper } = this.#parts
    // As keepalived: a host that was killed with the address on it would keep it out of service for ever.
    const taken = await keeper.take({ untilMs: this.#untilMs(), probe: false })
    if (this.#state.role !== 'master') return
    if (taken.outcome === 'held') this.#events?.onOwned(this.#says)
    else if (taken.outcome !== 'cancelled') {
      const why = taken.outcome === 'failed' ? taken.why : `${taken.mac} has ${taken.address}`
      this.#giveUpFor(`the addresses could not be taken: ${why}`)
    }
  }

  #drop(why: string): void {
    const wasHeld = this.#parts.keeper.isHeld
    this.#parts.keeper.drop(why)
    if (wasHeld) this.#events?.onLost(why)
  }

  /** Undefined when the system took the advert: with unicast to one peer at least, since the others may be switched off. */
  #send(priority: number): string | undefined {
    const { config, metrics } = this.#parts
    const { address } = this.#settings
    let failures: readonly string[] = []
    let failure: string | undefined
    try {
      if (this.#wire === undefined) return 'there is no socket'
      failures = this.#wire.send(destination => ownAdvert(config, priority, address, destination))
      metrics.sent(this.name)
    } catch (error) {
      failure = messageOf(error)
    }
    const told = failure ?? failures.join('; ')
    if (told === '') return undefined
    metrics.sendFailed(this.name)
    this.#warn('vrrp-send', `an advert could not be sent: ${told}`)
    return failure
  }

  #onRole(): void {
    const { config, clock, metrics } = this.#parts
    const { role, priority } = this.#state
    this.#roleTold = role
    this.#sinceMs = clock.monotonicMs()
    metrics.changed(this.name, role)
    // Sockets of a link that went are worth nothing, and one that comes back may have another address.
    if (role === 'fault') this.#closeWire()
    for (const words of commandsFor(config, role, priority)) this.#parts.notify(words)
  }

  #vipState(role: Role): VipState {
    if (role === 'init') return 'starting'
    if (role === 'backup') return 'standby'
    if (role === 'master') return this.#parts.keeper.isHeld ? 'owner' : 'taking'
    if (role === 'stopped') return 'stopped'
    return this.#wish.isEligible ? 'fault' : 'barred'
  }

  #tell(says: string): void {
    this.#says = says
    this.#parts.log.info(`(${this.name}) ${says}`, { event: 'vrrp' })
  }

  /** Something that repeats with every packet is told once a minute. */
  #warn(kind: string, says: string): void {
    if (!this.#repeats.mayTell(kind)) return
    this.#parts.log.warning(`(${this.name}) ${says}`, { event: kind.split(' ')[0] })
    this.#events?.onNotice(kind.split(' ')[0] ?? kind, says)
  }
}
