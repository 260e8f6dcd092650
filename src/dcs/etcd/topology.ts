// Keeps the list of endpoints true: SRV records are resolved, and etcd's own member list is followed, so that members that
// are new since the configuration was written can be asked. What is configured always stays in the list: when all that was
// learned is gone, the configuration is tried again.
//
// It has no timer. Contact with etcd makes the list old after a while, and each failure makes it suspect.

import type { Clock } from '../../platform/clock.ts'
import { Deadline } from '../../platform/deadline.ts'
import { messageOf } from '../../platform/errors.ts'
import type { Logger } from '../../platform/log.ts'
import type { Tell } from '../tell.ts'
import { type Advertised, usableAddresses } from './advertised.ts'
import type { Calls } from './calls.ts'
import type { EtcdEndpoint } from './endpoint.ts'
import type { Endpoint, Endpoints } from './endpoints.ts'
import { type EndpointAddress, parseEndpoint } from './options.ts'
import type { MembersAnswer } from './rpc.ts'
import { isBehind, isForeign, type RaftTerms } from './terms.ts'

/** Age at which the list is asked for again, when etcd is used. */
const OLD_MS = 30_000
/** Failures make the list suspect, but it is not asked for more often than this. */
const PAUSE_MS = 1_000
const REFRESH_MAX_MS = 5_000

export interface TopologyParts {
  readonly endpoints: Endpoints
  readonly calls: Calls
  readonly terms: RaftTerms
  readonly clock: Clock
  readonly logger: Logger
  readonly tell: Tell
  /** Undefined: the configured endpoints are fixed. */
  readonly lookup: ((by: Deadline) => Promise<readonly string[]>) | undefined
  /** False: what is configured is a proxy or the only way in. */
  readonly followMembers: boolean
  readonly open: (address: EndpointAddress, learnedFrom?: string) => EtcdEndpoint
}

export class Topology {
  readonly #parts: TopologyParts
  #addresses: readonly EndpointAddress[]
  readonly #ended = new AbortController()
  readonly #stopListening: () => void
  #refreshing: Promise<void> | undefined
  #askedAtMs = Number.NEGATIVE_INFINITY
  #isStarted = false
  #complaint = ''

  constructor(parts: TopologyParts, configured: readonly EndpointAddress[]) {
    this.#parts = parts
    this.#addresses = configured
    this.#stopListening = parts.endpoints.onFailed(() => {
      if (this.#isStarted) this.#refreshAfter(PAUSE_MS)
    })
  }

  /** etcd has just answered: a list that is old, or was never read, is asked for in the background. */
  noteContact(): void {
    this.#refreshAfter(this.#isStarted ? OLD_MS : 0)
    this.#isStarted = true
  }

  /** Finds endpoints while none is known, until the deadline; does not throw. */
  async find(by: Deadline): Promise<void> {
    while (!by.isOver() && this.#parts.endpoints.all.length === 0 && !this.#ended.signal.aborted) {
      await by.run('look up etcd', () => this.#refresh()).catch(() => {})
      if (this.#parts.endpoints.all.length > 0) return
      await this.#parts.clock.sleep(Math.min(PAUSE_MS, by.remainingMs()), this.#ended.signal).catch(() => {})
    }
  }

  /** Asks for the list now and waits for it; does not throw. */
  async know(by: Deadline): Promise<void> {
    this.#isStarted = true
    await by.run('member list', () => this.#refresh()).catch(() => {})
  }

  close(): void {
    this.#stopListening()
    this.#ended.abort(new Error('closed'))
  }

  #refreshAfter(ageMs: number): void {
    const isOld = this.#parts.clock.monotonicMs() - this.#askedAtMs >= ageMs
    if (isOld && !this.#ended.signal.aborted) void this.#refresh()
  }

  /** One at a time; never rejects. */
  #refresh(): Promise<void> {
    this.#refreshing ??= this.#refreshOnce().finally(() => {
      this.#refreshing = undefined
    })
    return this.#refreshing
  }

  async #refreshOnce(): Promise<void> {
    this.#askedAtMs = this.#parts.clock.monotonicMs()
    await this.#resolve()
    if (this.#parts.followMembers && !this.#ended.signal.aborted) await this.#askMembers()
  }

  async #resolve(): Promise<void> {
    const { clock, endpoints, logger, lookup, open } = this.#parts
    if (lookup === undefined) return
    try {
      const by = Deadline.in(clock, REFRESH_MAX_MS)
      const found = await by.run('DNS', () => lookup(by), this.#ended.signal)
      this.#addresses = found.map(text => parseEndpoint(text))
      const known = new Map(endpoints.configured.map(one => [one.name, one]))
      endpoints.setConfigured(this.#addresses.map(address => known.get(address.name) ?? open(address)))
      this.#complaint = ''
    } catch (error) {
      const why = messageOf(error)
      if (why !== this.#complaint && !this.#ended.signal.aborted) logger.warning(why, { event: 'dcs-no-srv' })
      this.#complaint = why
    }
  }

  /** Configured members first: they are the authority on which cluster is meant. */
  async #askMembers(): Promise<void> {
    const { calls, clock, endpoints, terms } = this.#parts
    const by = Deadline.in(clock, REFRESH_MAX_MS)
    const isFailing = (one: Endpoint) => one.failedAtMs !== Number.NEGATIVE_INFINITY
    const candidates = [
      ...endpoints.configured.filter(one => !isFailing(one)),
      ...endpoints.learned.filter(one => !isFailing(one)),
      ...endpoints.all.filter(isFailing),
    ]
    for (const endpoint of candidates) {
      if (by.isOver() || this.#ended.signal.aborted) return
      try {
        const answer = await calls.attempt(
          endpoint,
          'members',
          by.within(calls.attemptMs),
          (rpc, call) => rpc.members(call),
          { signal: this.#ended.signal },
        )
        const known = terms.current()
        if (isForeign(answer.header, known) || isBehind(answer.header, known)) {
          endpoints.failed(endpoint)
          continue
        }
        this.#take(answer)
        return
      } catch {
        // The next one may know; the failure is counted where it happened.
      }
    }
  }

  #take({ header, members }: MembersAnswer): void {
    const { endpoints, open, tell } = this.#parts
    const known = new Map(endpoints.learned.map(one => [one.name, one]))
    const wanted = usableAddresses(members, this.#addresses)
    const learned = wanted.map(({ address, memberId }) => {
      const old = known.get(address.name)
      if (old?.learnedFrom === header.clusterId) return old
      const endpoint = open(address, header.clusterId)
      endpoint.memberId = memberId
      return endpoint
    })
    if (isSame(wanted, endpoints.learned)) return
    endpoints.setLearned(learned)
    const names = learned.map(({ name }) => name).join(', ')
    const says =
      learned.length === 0
        ? 'etcd has no members besides the configured ones'
        : `etcd has members that are not in the configuration, asked when the configured ones fail: ${names}`
    tell('dcs-members-changed', says, { facts: { members: learned.map(({ name }) => name) } })
  }
}

function isSame(wanted: readonly Advertised[], learned: readonly Endpoint[]): boolean {
  return (
    wanted.length === learned.length &&
    wanted.every(({ address }, index) => address.name === learned[index]?.name)
  )
}
