// The etcd cluster that we know, its highest raft term and revision: tells an answer of a member that lives in the past.
//
// Only linearizable answers raise it: a member that is cut off raises its own term again and again by calling
// elections, and its terms must not make the healthy majority look old.

import type { Position } from '../../cluster/view.ts'

/** What was known at one moment; an answer is judged by what was known when its request left. */
export interface KnownTerm {
  readonly clusterId: string
  readonly raftTerm: bigint
  /** The highest revision that was told: no linearizable answer to a later question is below it, unless etcd was restored. */
  readonly revision: bigint
}

/** Nobody's: every answer is one of another cluster. */
const CONTESTED: KnownTerm = { clusterId: '', raftTerm: 0n, revision: 0n }

export class RaftTerms {
  #known: KnownTerm | undefined
  /** Monotonic time of the last answer of the known cluster that was believed. */
  heardAtMs = Number.NEGATIVE_INFINITY

  current(): KnownTerm | undefined {
    return this.#known
  }

  /** Takes over an answer that was accepted, also after a restore, where the term may be lower. */
  accept(position: Position): void {
    const { clusterId, raftTerm, revision } = position
    this.#known = { clusterId, raftTerm, revision }
  }

  /** The configuration names several etcd clusters and nothing tells which is meant: none of them is ours. */
  contest(): void {
    this.#known = CONTESTED
  }

  get isContested(): boolean {
    return this.#known === CONTESTED
  }

  /** Raises term and revision after an answer whose own freshness nobody doubts. */
  raise(position: Position): void {
    if (isBehind(position, this.#known) || isForeign(position, this.#known)) return
    const known = this.#known?.revision ?? 0n
    this.accept(position.revision < known ? { ...position, revision: known } : position)
  }
}

/** Is the answer from an older term of the same cluster? Another cluster's terms say nothing. */
export function isBehind(position: Position, known: KnownTerm | undefined): boolean {
  return known !== undefined && position.clusterId === known.clusterId && position.raftTerm < known.raftTerm
}

/** Is the answer from another etcd cluster than the one that we know? */
export function isForeign(position: Position, known: KnownTerm | undefined): boolean {
  return known !== undefined && position.clusterId !== known.clusterId
}

/** Has the same etcd cluster, in a term as high as before, lost what it had? So a wiped one with its old name looks. */
export function isShorter(position: Position, known: KnownTerm | undefined): boolean {
  if (known === undefined || isForeign(position, known) || isBehind(position, known)) return false
  return position.revision < known.revision
}
