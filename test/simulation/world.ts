// One world: etcd, members, proxies, clients and a network, all of it a function of the seed. Runs faults for a while,
// then heals everything and waits until it is well again; the checks watch throughout.

import { type JsonObject, printJson } from '../../src/cluster/json.ts'
import { printRequest } from '../../src/cluster/request.ts'
import type { KeyValue } from '../../src/cluster/view.ts'
import { hasLeader, whatIsMissing, whatSyncLacks } from './checks/health.ts'
import { Safety } from './checks/safety.ts'
import { Violation } from './checks/violation.ts'
import { DirectClient, PATIENT_MS, ProxyClient, Rows } from './clients.ts'
import { Machine, Process } from './core/machine.ts'
import { Network } from './core/network.ts'
import { Random } from './core/random.ts'
import { Scheduler } from './core/scheduler.ts'
import { Counts } from './counts.ts'
import { EtcdCluster } from './etcd/cluster.ts'
import type { Fault } from './faults.ts'
import { rememberedDynamic, SimMember } from './member.ts'
import { drawMix, harmlessFaults, remoteFaults } from './mix.ts'
import { memberNames, STORES, tagsOf } from './names.ts'
import type { WorldParts } from './parts.ts'
import { PostgresWorld } from './postgres/world.ts'
import { SimProxy } from './proxy.ts'
import { REMOTE_MACHINES, RemoteSite } from './remote-site.ts'
import { drawSettings, dynamicOf, type Settings, watchdogOf } from './settings.ts'
import { liveOn } from './standby-life.ts'
import type { Trace } from './trace.ts'
import { worldLogger } from './world-logger.ts'

/** A cluster that is made from nothing, without faults, is well by then. */
const FORMED_MS = 60_000
const LOOK_MS = 250
/** The most patient client may wait for an answer that was lost during the faults. */
const WRITTEN_MS = 40_000 + PATIENT_MS

export interface WorldOptions {
  readonly seed: number
  readonly settings?: Partial<Settings>
  /** Keeps lines of what happens. */
  readonly trace?: Trace
}

interface Reign {
  readonly key: KeyValue | undefined
  readonly promotions: number
  readonly deletions: number
}

export class World {
  readonly seed: number
  readonly settings: Settings
  readonly scheduler: Scheduler
  readonly network: Network
  readonly cluster: EtcdCluster
  readonly counts = new Counts()
  readonly members: readonly SimMember[]
  /** What a standby cluster follows. */
  readonly remote: RemoteSite | undefined
  /** Does the cluster follow the remote site now? */
  isStandby: boolean
  readonly proxies: readonly SimProxy[]
  readonly safety: Safety
  readonly clients: readonly ProxyClient[]
  readonly #random: Random
  readonly #trace: Trace | undefined
  readonly #rows = new Rows()
  readonly #parts: WorldParts
  readonly #direct: DirectClient
  readonly #ends = new Set<() => void>()
  #isHurting = false
  #broken: unknown

  constructor({ seed, settings, trace }: WorldOptions) {
    this.seed = seed
    this.#random = new Random(seed)
    this.#trace = trace
    this.settings = { ...drawSettings(this.#random.fork('settings')), ...settings }
    this.scheduler = new Scheduler(this.#random.fork('order'))
    this.network = new Network(this.scheduler, this.#random.fork('network'))
    this.cluster = new EtcdCluster(this.scheduler, this.network, this.#random.fork('etcd'), STORES)
    this.#parts = this.#shared()
    this.isStandby = this.settings.site === 'standby'
    this.remote = this.isStandby
      ? new RemoteSite(this.#parts.postgres, name => this.#machine(name), this.#random.fork('remote'))
      : undefined
    this.members = memberNames(this.settings).map(
      (name, index) => new SimMember(this.#parts, this.#machine(name), index + 1, tagsOf(name, seed)),
    )
    this.safety = new Safety({
      settings: this.settings,
      counts: this.counts,
      store: this.cluster.store,
      members: () => this.members,
      member: name => this.members.find(member => member.name === name),
      nowMs: () => this.scheduler.nowMs,
    })
    this.proxies = Array.from(
      { length: this.settings.proxies },
      (_, index) => new SimProxy(this.#parts, this.#machine(`proxy${index + 1}`)),
    )
    const client = new Process('client', this.#machine('client'))
    const parts = (index: number) => ({
      process: client,
      random: this.#random.fork(`client${index}`),
      rows: this.#rows,
      everyMs: 500,
    })
    this.clients = Array.from(
      { length: this.settings.writers },
      (_, index) =>
        new ProxyClient(parts(index), this.proxies, {
          onForwarded: (proxy, write, reign) =>
            this.#watch(() => this.safety.onForwarded(proxy, write, reign)),
        }),
    )
    const direct = { ...parts(99), everyMs: this.settings.directEveryMs }
    this.#direct = new DirectClient(direct, this.#parts, this.members)
    this.cluster.onLeaderLeaseEnded(holder => {
      this.counts.add('leader leases lost')
      this.trace('etcd', `the lease of ${holder} ended, the leader key is gone`)
    })
  }

  /** Lives the whole life of the world. Throws the first Violation. */
  async run(): Promise<void> {
    await this.form()
    await this.hurt(this.settings.faultyMs)
    await this.recover()
    if (this.remote !== undefined) await liveOn(this)
    this.#sum()
  }

  /** Makes a cluster from empty data directories and waits until it is well. */
  async form(): Promise<void> {
    this.remote?.start()
    for (const member of this.members) member.startAgent()
    for (const client of this.clients) client.start()
    this.#direct.start()
    await this.untilWell(FORMED_MS, 'a new cluster')
  }

  /** Something broke outside of any event: the run ends with it. */
  fail(error: unknown): void {
    this.#broken ??= error
  }

  /** Runs for `durationMs` while faults come and go. */
  async hurt(durationMs: number): Promise<void> {
    const random = this.#random.fork('faults')
    const before = this.#reign()
    this.#isHurting = true
    const mix = this.settings.isGentle ? harmlessFaults : drawMix(random)
    this.#nextFault(random, this.remote === undefined ? mix : [...mix, ...remoteFaults])
    await this.pass(durationMs)
    this.#isHurting = false
    if (!this.settings.isGentle) return
    this.counts.add('worlds without a reason to change the leader')
    if (!this.#isStill(before)) {
      throw new Violation('leader-changed-without-a-reason', 'only harmless things had happened')
    }
  }

  #reign(): Reign {
    const { counts, cluster } = this
    const deletions = counts.get('leader key deleted by hand')
    return { key: cluster.store.key('leader'), promotions: counts.get('promotions'), deletions }
  }

  /** The same member leads in the same term; in a new one if somebody deleted its key meanwhile. */
  #isStill(before: Reign): boolean {
    const now = this.#reign()
    if (now.promotions !== before.promotions) return false
    if (now.deletions === before.deletions) return now.key?.createRevision === before.key?.createRevision
    return now.key === undefined || now.key.value === before.key?.value
  }

  /** Ends all faults; then a leader must exist within the stated bound, and no node may stay stuck. */
  async recover(): Promise<void> {
    this.trace('world', 'faults stop')
    for (const end of [...this.#ends]) end()
    this.#ends.clear()
    const { ttlSeconds, loopWaitSeconds, retryTimeoutSeconds } = this.currentTimes()
    const stoppedAtMs = this.scheduler.nowMs
    // A race that is put off lasts a turn, and no longer than the backoff.
    const putOffSeconds = this.settings.primaryRaceBackoffSeconds
    const racedSeconds = putOffSeconds === 0 ? 0 : putOffSeconds + loopWaitSeconds
    const leaderMs =
      (2 * (ttlSeconds + loopWaitSeconds + 2 * retryTimeoutSeconds) + racedSeconds) * 1000 + 25_000
    const isLed = () => hasLeader(this.members, this.cluster.store, this.isStandby)
    await this.until(isLed, leaderMs, 'no-leader-after-faults')
    this.counts.max('leader after faults, s', (this.scheduler.nowMs - stoppedAtMs) / 1000)
    await this.untilWell(leaderMs + 60_000, 'the cluster after faults')
    this.counts.max('well after faults, s', (this.scheduler.nowMs - stoppedAtMs) / 1000)
    if (!this.isStandby) await this.untilWritten(WRITTEN_MS)
  }

  /** Waits until every client has written once more. */
  async untilWritten(withinMs: number): Promise<void> {
    const before = this.clients.map(client => client.acknowledged)
    const isWritten = () => this.clients.every((client, index) => client.acknowledged > (before[index] ?? 0))
    await this.until(isWritten, withinMs, 'clients-cannot-write-after-faults')
  }

  /** The times in force: an operator may have changed them. */
  currentTimes() {
    return this.#parts.readDynamic(this.cluster.store.view().config?.value, true)
  }

  /** A stream of the seed for a story or a test. */
  random(label: string): Random {
    return this.#random.fork(label)
  }

  /** Cuts a machine off from everything; the result heals it. */
  cutOff(machine: string): () => void {
    const { members, proxies } = this
    const sites = [...members, ...proxies].map(({ name }) => name)
    const others = [...sites, ...STORES, ...(this.remote === undefined ? [] : REMOTE_MACHINES), 'client']
    const pairs = others
      .filter(name => name !== machine)
      .flatMap(name => [[name, machine] as const, [machine, name] as const])
    return this.network.cut(pairs)
  }

  pass(durationMs: number): Promise<void> {
    return this.scheduler.run(this.scheduler.nowMs + durationMs, () => this.#check())
  }

  /** Runs until `isTrue`; a Violation named `check` when that takes too long. */
  async until(isTrue: () => boolean, withinMs: number, check: string, why = () => ''): Promise<void> {
    const untilMs = this.scheduler.nowMs + withinMs
    while (!isTrue()) {
      if (this.scheduler.nowMs >= untilMs) {
        throw new Violation(check, `not within ${Math.round(withinMs / 1000)} s ${why()}`)
      }
      await this.pass(LOOK_MS)
    }
  }

  async untilWell(withinMs: number, what: string): Promise<void> {
    const missing = () => this.#missing()
    await this.until(
      () => missing() === undefined,
      withinMs,
      'stuck',
      () => `(${what}: ${missing()})`,
    )
  }

  leader(): SimMember | undefined {
    const holder = this.cluster.store.key('leader')?.value
    return this.members.find(member => member.name === holder)
  }

  trace(source: string, says: string): void {
    this.#trace?.add(this.scheduler.nowMs, source, says)
  }

  /** As `ctl switchover` writes it. */
  orderSwitchover(random: Random, candidate?: string): void {
    const leader = this.leader()?.name
    if (leader === undefined) return
    const chosen =
      candidate ??
      (random.chance(0.5)
        ? random.pick(this.members.map(({ name }) => name).filter(name => name !== leader))
        : undefined)
    const value = printRequest({ leader, candidate: chosen, scheduledAt: undefined })
    this.counts.add('switchover ordered')
    this.trace('operator', `switchover from ${leader} to ${chosen ?? 'anybody'}`)
    this.cluster.store.txn([], [{ kind: 'put', key: 'failover', value }])
  }

  /** As `ctl edit-config` writes it. */
  changeConfig(changes: JsonObject): void {
    const { config } = this.cluster.store.view()
    if (config === undefined) return
    const value = printJson({ ...config.value, ...changes })
    this.counts.add('configuration changed')
    this.trace('operator', `configuration: ${printJson(changes)}`)
    this.cluster.store.txn([], [{ kind: 'put', key: 'config', value }])
  }

  /** As an operator would with etcdctl, by mistake. */
  deleteLeaderKey(): void {
    this.counts.add('leader key deleted by hand')
    this.trace('operator', 'deletes the leader key')
    this.safety.onLeaderKeyDeleted()
    this.cluster.store.txn([], [{ kind: 'delete', key: 'leader' }])
  }

  begin(fault: Fault, random: Random, durationMs: number): void {
    this.trace('fault', fault.name)
    const end = fault.begin(this, random, durationMs)
    this.#ends.add(end)
    this.scheduler.in(durationMs, () => {
      if (!this.#ends.delete(end)) return
      this.trace('fault', `${fault.name}: over`)
      end()
    })
  }

  #nextFault(random: Random, mix: readonly Fault[]): void {
    this.scheduler.in(random.between(0.2, 1.8) * this.settings.faultEveryMs, () => {
      if (!this.#isHurting) return
      if (this.#missing() !== undefined) this.counts.add('second faults during recovery')
      this.begin(random.pick(mix), random, random.between(500, 3 * this.settings.ttlSeconds * 1000))
      this.#nextFault(random, mix)
    })
  }

  /** What a check throws must end the run: the code under test would take it for a failure of its own and go on. */
  #watch(check: () => void): void {
    try {
      check()
    } catch (error) {
      this.fail(error)
    }
  }

  /** After every event. */
  #check(): void {
    if (this.#broken !== undefined) throw this.#broken
  }

  #sum(): void {
    this.counts.add('worlds')
    this.counts.add('events', this.scheduler.executed)
    this.counts.add('virtual seconds', Math.round(this.scheduler.nowMs / 1000))
    this.counts.add('rows acknowledged', this.safety.acknowledged.length)
    this.counts.add('etcd elections', this.cluster.elections)
    const lost = this.leader()
    if (lost !== undefined) this.safety.onEnd(lost.server, this.isStandby)
  }

  #missing(): string | undefined {
    const remote = this.isStandby ? this.remote?.primary : undefined
    return whatIsMissing(this.members, this.cluster.store, remote) ?? this.#syncIsMissing()
  }

  #syncIsMissing(): string | undefined {
    const leader = this.leader()
    if (leader === undefined) return undefined
    const wanted = this.isStandby ? { ...this.settings, durability: 'async' as const } : this.settings
    return whatSyncLacks(this.members, leader, this.cluster.store.key('sync')?.value, wanted)
  }

  #machine(name: string): Machine {
    return new Machine(name, this.scheduler, this.#random.fork(name))
  }

  #shared(): WorldParts {
    const { scheduler, network, cluster, counts } = this
    const random = this.#random.fork('parts')
    const log = {
      counts,
      trace: (source: string, says: string) => this.trace(source, says),
      fail: (error: unknown) => this.fail(error),
    }
    return {
      scheduler,
      network,
      random,
      cluster,
      counts,
      dynamic: dynamicOf(this.settings),
      watchdog: watchdogOf(this.settings),
      cutOff: machine => this.cutOff(machine),
      readDynamic: rememberedDynamic(),
      postgres: new PostgresWorld(scheduler, network, this.#random.fork('postgres'), {
        onAcknowledged: (server, record) => this.#watch(() => this.safety.onAcknowledged(server, record)),
        onPromoted: server => {
          if (this.remote?.owns(server) === true) {
            counts.add('failovers of the remote site')
            return
          }
          if (this.isStandby) this.fail(new Violation('promoted-in-a-standby-cluster', server.name))
          counts.add('promotions')
          this.trace(server.name, `PROMOTED to timeline ${server.data?.timeline}`)
          this.#watch(() => this.safety.onPromoted(server))
        },
        onCorrupted: (_server, says) => this.#watch(() => this.safety.onCorrupted(says)),
        onTwoActions: ({ name }, says) => this.fail(new Violation('two-actions-at-once', `${name}: ${says}`)),
        onSyncWait: () => counts.add('sync waits'),
        onRewound: (_server, discarded) => {
          counts.add('divergences rewound')
          counts.add('records discarded by rewinds', discarded.length)
        },
      }),
      onTxn: (client, conditions, writes, result) =>
        this.#watch(() => this.safety.onTxn(client, conditions, writes, result)),
      onLeaderClaimed: name => this.#watch(() => this.safety.onLeaderClaimed(name)),
      never: new AbortController().signal,
      memberAt: apiUrl => this.members.find(member => member.apiUrl === apiUrl),
      onHeard: (asker, peer) => this.safety.onHeard(asker, peer),
      logger: source => worldLogger(log, source),
      trace: log.trace,
    }
  }
}
