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
    if (isForeign(position, known) || (learnedFrom !== undefined && learnedFrom !== clusterId)) {
      return `belongs to another etcd cluster, ${clusterId}`
    }
    return isBehind(position, known) ? `answered from the older raft term ${raftTerm}` : undefined
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
    const agreeing = [...doubtful].filter(([, { position }]) => position.clusterId === best.clusterId)
    const voices = new Set(agreeing.map(([{ memberId, name }]) => memberId ?? name)).size
    const isMost = voices * 2 > Math.max(endpoints.configured.length, endpoints.learned.length)
    const silentMs = clock.monotonicMs() - terms.heardAtMs
    if (silentMs <= (isMost ? REPLACED_AFTER_MS : LONE_AFTER_MS)) return undefined
    return configured.find(([, { position }]) => position === best)?.[1]
  }

  /** From now on the store that gave this answer is the one that we know. */
  takeRestored<T>(answer: Answer<T>): Answer<T> {
    const { clusterId, raftTerm } = answer.position
    const isReplaced = isForeign(answer.position, this.#parts.terms.current())
    const says = isReplaced
      ? `etcd is another cluster now, ${clusterId}, and nobody of the known one answers: taken as replaced`
      : `etcd went back to raft term ${raftTerm} on every member that answers: taken as restored from a backup`
    this.#tellRestored(says, answer.position)
    this.#parts.terms.accept(answer.position)
    this.#parts.terms.heardAtMs = this.#parts.clock.monotonicMs()
    if (isReplaced) this.#parts.endpoints.setLearned([])
    return answer
  }

  #tellRestored(says: string, { clusterId, raftTerm, revision }: Position): void {
    this.#parts.metrics.restored()
    const facts = { clusterId, raftTerm: Number(raftTerm), revision: Number(revision) }
    this.#parts.tell('dcs-restored', says, { facts })
  }
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
