// The driver whose owner etcd elects. A loop renews, reads, decides, acts; what takes the addresses away never waits for it.

import type { Dcs } from '../dcs/dcs.ts'
import type { Clock, Timer } from '../platform/clock.ts'
import type { Deadline } from '../platform/deadline.ts'
import { messageOf } from '../platform/errors.ts'
import type { Logger } from '../platform/log.ts'
import type { AddressKeeper } from './addresses.ts'
import { type Candidate, decide, type ElectionDecision, type ElectionView, noMemory } from './decide.ts'
import type { VipDriver, VipEvents, VipStatus, VipWish } from './driver.ts'
import { Election, isElectionKey } from './election.ts'

/** Decisions in one turn: acquire, take, and what follows from them. */
const STEPS_MAX = 4
/** After a take that the system refused, somebody else gets his chance. */
const REFUSED_MS = 5_000
const DUPLICATE_AGAIN_MS = 100

export interface EtcdDriverOptions {
  readonly clock: Clock
  readonly log: Logger
  readonly dcs: Dcs
  readonly keeper: AddressKeeper
  readonly kind: 'etcd' | 'command'
  /** Of the virtual IP. */
  readonly name: string
  /** Of this process, as people know it. */
  readonly self: string
  /** Unique among all candidates. */
  readonly id: string
  readonly ttlSeconds: number
  readonly preemptAfterMs: number | undefined
}

export class EtcdDriver implements VipDriver {
  readonly name: string
  readonly #options: EtcdDriverOptions
  readonly #election: Election
  readonly #stopping = new AbortController()
  #events: VipEvents | undefined
  #wish: VipWish = { isEligible: false, why: 'the process is starting' }
  #view: ElectionView | undefined
  #memory = noMemory
  #decision: ElectionDecision
  #sinceMs: number
  #isTaking = false
  #refused: { readonly why: string; readonly untilMs: number } | undefined
  #timer: Timer | undefined
  #running: Promise<void> | undefined
  #isWoken = false
  #duplicate: string | undefined
  #watching: Promise<void> = Promise.resolve()

  constructor(options: EtcdDriverOptions) {
    this.#options = options
    this.name = options.name
    this.#sinceMs = options.clock.monotonicMs()
    this.#decision = {
      rule: 'starts',
      action: 'none',
      state: 'starting',
      says: 'starting',
      againInMs: undefined,
      memory: noMemory,
    }
    this.#election = new Election({
      ...options,
      onLease: leaseId => options.keeper.nameLease(leaseId),
    })
  }

  async start(events: VipEvents): Promise<void> {
    this.#events = events
    await this.#options.keeper.open({
      onDropped: why => {
        // The guard may let others take them now: to take them again under the same lease would make two owners.
        this.#election.abandon()
        events.onLost(why)
        this.#wake()
      },
      onChanged: () => this.#wake(),
    })
    this.#watching = this.#watch(this.#stopping.signal)
    this.#wake()
  }

  wish(wish: VipWish): void {
    const before = this.#wish
    this.#wish = wish
    if (!wish.isEligible) this.#drop(`not eligible: ${wish.why}`)
    if (!isSame(before, wish)) this.#wake()
  }

  status(): VipStatus {
    const { kind, keeper } = this.#options
    return {
      name: this.name,
      driver: kind,
      state: this.#decision.state,
      says: this.#decision.says,
      owner: keeper.isHeld ? this.#options.self : this.#view?.owner?.name,
      priority: this.#wish.isEligible ? this.#wish.priority : 0,
      addresses: keeper.addresses,
      sinceMs: this.#sinceMs,
    }
  }

  dropNow(why: string): void {
    this.#drop(why)
  }

  async stop(by: Deadline): Promise<void> {
    this.#stopping.abort(new Error('the driver is stopping'))
    this.#timer?.cancel()
    this.#drop('the process is stopping')
    await this.#options.keeper.settle(by)
    await this.#running
    await this.#election.leave().catch(() => {})
    await this.#options.keeper.close()
    await this.#watching
    this.#settle({ ...this.#decision, state: 'stopped', says: 'stopped' })
  }

  #drop(why: string): void {
    const { keeper } = this.#options
    // After a pause our guard may have let others in: that is more than this drop, and the keeper tells it.
    keeper.check()
    const isOurs = keeper.isHeld
    keeper.drop(why)
    if (isOurs) this.#events?.onLost(why)
  }

  /** Runs a turn now, or another one after the turn that runs. */
  #wake(): void {
    if (this.#stopping.signal.aborted) return
    this.#isWoken = true
    this.#running ??= this.#runTurns().finally(() => {
      this.#running = undefined
    })
  }

  async #runTurns(): Promise<void> {
    while (this.#isWoken && !this.#stopping.signal.aborted) {
      this.#isWoken = false
      this.#timer?.cancel()
      await this.#turn()
    }
    const againMs = Math.min(this.#decision.againInMs ?? Number.POSITIVE_INFINITY, this.#election.paceMs)
    this.#timer = this.#options.clock.setTimer(againMs, () => this.#wake())
  }

  async #turn(): Promise<void> {
    try {
      if (this.#isAble()) await this.#election.renew()
      this.#view = await this.#election.read()
    } catch (error) {
      this.#view = undefined
      this.#options.log.debug(`vip ${this.name}: ${messageOf(error)}`)
    }
    // Only the owner's deadline moves. Whoever is owner no more learns it in the same instant, by the first decision.
    if (this.#ownsKey()) this.#options.keeper.extend(this.#election.safeUntilMs)
    try {
      await this.#steps()
      if (this.#isAble()) await this.#election.register(this.#me())
    } catch (error) {
      this.#options.log.debug(`vip ${this.name}: ${messageOf(error)}`)
    }
  }

  async #steps(): Promise<void> {
    for (let step = 0; step < STEPS_MAX && !this.#stopping.signal.aborted; step++) {
      const decision = decide(this.#snapshot(), this.#memory)
      this.#memory = decision.memory
      this.#settle(decision)
      if (!(await this.#act(decision))) return
    }
  }

  /** Whether something changed that must be decided upon at once. */
  async #act({ action, says }: ElectionDecision): Promise<boolean> {
    if (action === 'none') return false
    if (action === 'drop') {
      this.#drop(says)
      return false
    }
    if (action === 'give-up' || action === 'leave') {
      await this.#giveUp(says, action === 'leave')
      return false
    }
    if (action === 'take') {
      this.#take()
      return false
    }
    const outcome = await this.#election.acquire(this.#me())
    if (outcome === 'unreachable') return false
    this.#view = await this.#election.read()
    return true
  }

  /** The addresses go before the key does. */
  async #giveUp(why: string, leaves: boolean): Promise<void> {
    this.#drop(why)
    await this.#options.keeper.settle(this.#settleBy())
    const owner = this.#view?.owner
    if (leaves) await this.#election.leave()
    else if (owner !== undefined && this.#ownsKey()) await this.#election.giveUp(owner)
  }

  /** Beside the loop: a probe takes longer than a renewal may wait. */
  #take(): void {
    this.#isTaking = true
    const { keeper } = this.#options
    void keeper.take({ untilMs: this.#election.safeUntilMs, probe: true }).then(taken => {
      this.#isTaking = false
      if (taken.outcome === 'held') {
        // A turn that ran meanwhile could not move a deadline that was not set yet.
        keeper.extend(this.#election.safeUntilMs)
        this.#duplicate = undefined
        this.#events?.onOwned(`won the election; ${printAddresses(keeper)} is here and announced`)
      } else if (taken.outcome === 'duplicate') this.#onDuplicate(taken.address, taken.mac)
      else if (taken.outcome === 'failed') this.#onRefused(taken.why)
      if (taken.outcome !== 'duplicate') this.#wake()
    })
  }

  #onDuplicate(address: string, mac: string): void {
    const says = `${address} is not added: ${mac} still answers for it`
    if (this.#duplicate !== says) this.#events?.onNotice('vip-duplicate', says)
    this.#duplicate = says
    this.#options.clock.setTimer(DUPLICATE_AGAIN_MS, () => this.#wake())
  }

  #onRefused(why: string): void {
    const untilMs = this.#options.clock.monotonicMs() + REFUSED_MS
    this.#refused = { why, untilMs }
    this.#events?.onNotice('vip-refused', `the addresses cannot be put up: ${why}`)
  }

  #snapshot() {
    const { clock, keeper, preemptAfterMs } = this.#options
    return {
      nowMs: clock.monotonicMs(),
      me: this.#me(),
      wish: this.#wish,
      fault: this.#fault(),
      leaseId: this.#election.leaseId,
      view: this.#view,
      isHeld: keeper.isHeld,
      isTaking: this.#isTaking,
      preemptAfterMs,
    }
  }

  #isAble(): boolean {
    return this.#wish.isEligible && this.#fault() === undefined
  }

  #ownsKey(): boolean {
    const { leaseId } = this.#election
    return leaseId !== undefined && this.#view?.owner?.leaseId === leaseId
  }

  #fault(): string | undefined {
    const { clock, keeper } = this.#options
    if (this.#refused !== undefined && clock.monotonicMs() < this.#refused.untilMs) return this.#refused.why
    return keeper.fault
  }

  #me(): Candidate {
    const { id, self } = this.#options
    const wish = this.#wish
    return {
      id,
      name: self,
      priority: wish.isEligible ? wish.priority : 0,
      isImpaired: wish.isEligible && wish.impaired !== undefined,
    }
  }

  #settle(decision: ElectionDecision): void {
    if (decision.state !== this.#decision.state) this.#sinceMs = this.#options.clock.monotonicMs()
    this.#decision = decision
  }

  #settleBy(): Deadline {
    return this.#election.callBy()
  }

  async #watch(signal: AbortSignal): Promise<void> {
    for await (const notice of this.#options.dcs.watch({ streams: 1, signal })) {
      const matters =
        notice.kind === 'stale' ||
        notice.events.some(event => isElectionKey(event.kind === 'put' ? event.kv.key : event.key, this.name))
      if (matters) this.#wake()
    }
  }
}

function isSame(one: VipWish, other: VipWish): boolean {
  if (!one.isEligible || !other.isEligible) return one.isEligible === other.isEligible
  return one.priority === other.priority && one.impaired === other.impaired
}

function printAddresses({ addresses }: AddressKeeper): string {
  return addresses.map(({ address }) => address).join(', ')
}
