// Whose answer is believed: the etcd cluster that we know, in a raft term as high as we know. Another one takes its place only
// when the known one is silent, for fewer members the longer.

import type { Position } from '../../cluster/view.ts'
import type { Clock } from '../../platform/clock.ts'
import type { DcsMetrics } from '../metrics.ts'
import type { Tell } from '../tell.ts'
import type { Endpoint, Endpoints } from './endpoints.ts'
import { isBehind, isForeign, isShorter, type KnownTerm, type RaftTerms } from './terms.ts'

/** An answer and the monotonic time before its request left. */
export interface Answer<T> {
  readonly value: T
  readonly position: Position
  readonly sentAtMs: number
}

/** An answer with who gave it, and what was known when its request left. */
export interface Dated<T> {
  readonly endpoint: Endpoint
  readonly answer: Answer<T>
  readonly known: KnownTerm | undefined
}

/** Who answered at the first contact, and what he said. */
export interface Met {
  readonly endpoint: Endpoint
  readonly position: Position
}

/**
 * What an answer's header is worth. `linearizable`: a range that a raft round stands behind, term and revision are fresh.
 * `ordered`: a request that went through raft, but the revision is the member's own, which may lag. `local`: neither.
 */
export type Freshness = 'linearizable' | 'ordered' | 'local'

/** Silence of the known cluster after which another one may take its place, if most of its members say so. */
const REPLACED_AFTER_MS = 3_000
/**
 * The same if fewer say so. A member brought up alone from an old disk looks like a backup restored to one host: only time
 * can tell them apart, and an etcd whose other members are cut off from us, or stand still, must not be left for it.
 */
const LONE_AFTER_MS = 60_000

export interface BeliefParts {
  readonly endpoints: Endpoints
  readonly terms: RaftTerms
  readonly clock: Clock
  readonly metrics: DcsMetrics
  readonly tell: Tell
}

export class Belief {
  readonly #parts: BeliefParts

  constructor(parts: BeliefParts) {
    this.#parts = parts
  }

  /** Why an answer must not be believed just like that; `known` is what was known when its request left. */
  doubtOf({ learnedFrom }: Endpoint, position: Position, known: KnownTerm | undefined): string | undefined {
    const { clusterId, raftTerm } = position
    const { terms } = this.#parts
    if (terms.isContested)
      return `belongs to etcd cluster ${clusterId}, and another of the hosts to another one`
    const isElsewhere = isForeign(position, known) || isForeign(position, terms.current())
    if (isElsewhere || (learnedFrom !== undefined && learnedFrom !== clusterId)) {
      return `belongs to another etcd cluster, ${clusterId}`
    }
    return isBehind(position, known) ? `answered from the older raft term ${raftTerm}` : undefined
  }

  /**
   * The first contact: the highest raft term within the etcd cluster to which more members belong than to any other is what
   * counts from then on, so a member that was brought up alone from an old disk is not believed for being quick. Where as many
   * say one thing as another nobody is believed: terms of two clusters say nothing about each other, and in a stranger's
   * empty scope an agent would found its cluster a second time. May be called again when somebody answers late.
   */
  meet(met: readonly Met[]): void {
    const { clock, endpoints, terms } = this.#parts
    const best = mostAgreed(met.map(({ position }) => position))
    if (best === undefined) return
    const inFavour = voicesFor(met, best.clusterId)
    const rival = met.find(
      ({ position: { clusterId } }) => clusterId !== best.clusterId && voicesFor(met, clusterId) >= inFavour,
    )
    if (rival !== undefined) {
      this.#contest(met)
      return
    }
    const known = terms.current()
    if (known === undefined) terms.accept(best)
    else if (isForeign(best, known)) this.#replace(best)
    else terms.raise(best)
    terms.heardAtMs = clock.monotonicMs()
    const ours = met.filter(({ position }) => position.clusterId === best.clusterId)
    const [first] = ours
    if (first !== undefined && !ours.some(({ endpoint }) => endpoint === endpoints.preferred)) {
      endpoints.prefer(first.endpoint)
    }
  }

  #contest(met: readonly Met[]): void {
    const { clock, tell, terms } = this.#parts
    const list = met
      .map(({ endpoint, position }) => `${endpoint.name} belongs to ${position.clusterId}`)
      .join(', ')
    const cure = 'none is believed until most hosts belong to one, or all that answer for a minute'
    terms.contest()
    terms.heardAtMs = clock.monotonicMs()
    tell(
      'dcs-contested',
      `the etcd hosts of the configuration are of more than one etcd cluster: ${list}; ${cure}`,
      {
        facts: { hosts: met.map(({ endpoint }) => endpoint.name) },
      },
    )
  }

  /** An answer that nobody doubts: what it tells of the cluster is what we know from now on. */
  accept<T>({ endpoint, answer, known }: Dated<T>, kind: Freshness): Answer<T> {
    const { terms, clock, endpoints } = this.#parts
    if (kind === 'linearizable' && isShorter(answer.position, known)) this.#takeShorter(answer.position)
    else if (kind !== 'local') terms.raise(answer.position)
    terms.heardAtMs = clock.monotonicMs()
    endpoints.prefer(endpoint)
    return answer
  }

  /**
   * Restored or wiped under its own name, in a term that is no lower than before: a keepalive or a local read cannot tell it
   * from the one that we knew, so there is no silence to wait for.
   */
  #takeShorter(position: Position): void {
    const { terms } = this.#parts
    const before = terms.current()
    if (!isShorter(position, before)) return
    this.#tellRestored(
      `etcd went back from revision ${before?.revision} to ${position.revision}: taken as restored or wiped`,
      position,
    )
    terms.accept(position)
  }

  /**
   * Neither another cluster nor an older term is taken for ours while ours has answered a moment ago: a pause of its
   * members is no replacement. How long that moment is depends on how many say otherwise. Members of etcd's own list
   * count too, but only a configured one is the authority on which etcd is meant.
   */
  restored<T>(doubtful: ReadonlyMap<Endpoint, Answer<T>>): Answer<T> | undefined {
    const { clock, endpoints, terms } = this.#parts
    const configured = [...doubtful].filter(([{ learnedFrom }]) => learnedFrom === undefined)
    const best = mostAgreed(configured.map(([, { position }]) => position))
    if (best === undefined) return undefined
    const said = [...doubtful].map(([endpoint, { position }]) => ({ endpoint, position }))
    const voices = voicesFor(said, best.clusterId)
    const isMost = voices * 2 > Math.max(endpoints.configured.length, endpoints.learned.length)
    // Hosts of two etcds that both answer: as long as that lasts nobody is silent.
    const isRivalled = configured.some(([, { position }]) => position.clusterId !== best.clusterId)
    if (terms.isContested && isRivalled && !isMost) terms.heardAtMs = clock.monotonicMs()
    const silentMs = clock.monotonicMs() - terms.heardAtMs
    if (silentMs <= (isMost ? REPLACED_AFTER_MS : LONE_AFTER_MS)) return undefined
    return configured.find(([, { position }]) => position === best)?.[1]
  }

  /** From now on the store that gave this answer is the one that we know. */
  takeRestored<T>(answer: Answer<T>): Answer<T> {
    const { raftTerm } = answer.position
    if (isForeign(answer.position, this.#parts.terms.current())) this.#replace(answer.position)
    else {
      const says = `etcd went back to raft term ${raftTerm} on every member that answers: taken as restored from a backup`
      this.#tellRestored(says, answer.position)
      this.#parts.terms.accept(answer.position)
    }
    this.#parts.terms.heardAtMs = this.#parts.clock.monotonicMs()
    return answer
  }

  #replace(position: Position): void {
    const { endpoints, terms } = this.#parts
    const { clusterId } = position
    const says = terms.isContested
      ? `etcd is cluster ${clusterId}: most of the hosts say so, or no other has answered for a minute`
      : `etcd is another cluster now, ${clusterId}, and nobody of the known one answers: taken as replaced`
    this.#tellRestored(says, position)
    terms.accept(position)
    endpoints.setLearned([])
  }

  #tellRestored(says: string, { clusterId, raftTerm, revision }: Position): void {
    this.#parts.metrics.restored()
    const facts = { clusterId, raftTerm: Number(raftTerm), revision: Number(revision) }
    this.#parts.tell('dcs-restored', says, { facts })
  }
}

/** How many members say so; one that is configured under two names has one voice. */
function voicesFor(met: readonly Met[], clusterId: string): number {
  const agreeing = met.filter(({ position }) => position.clusterId === clusterId)
  return new Set(agreeing.map(({ endpoint: { memberId, name } }) => memberId ?? name)).size
}

/** The highest term within the etcd cluster that most answers came from; of two equally many the first. */
export function mostAgreed(positions: readonly Position[]): Position | undefined {
  const count = (id: string) => positions.filter(({ clusterId }) => clusterId === id).length
  return positions.reduce<Position | undefined>((best, one) => {
    if (best === undefined) return one
    if (one.clusterId !== best.clusterId) return count(one.clusterId) > count(best.clusterId) ? one : best
    return one.raftTerm > best.raftTerm ? one : best
  }, undefined)
}
