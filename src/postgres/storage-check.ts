// Does the storage of the data directory still take writes? Neither a kept connection nor a new one can tell: what they ask
// is in memory, while every commit hangs or fails.

import type { Clock } from '../platform/clock.ts'
import { Deadline } from '../platform/deadline.ts'

/** `says`: why it was refused. `silent`: no answer in time. */
export type WriteAnswer =
  | { readonly kind: 'taken' }
  | { readonly kind: 'refused'; readonly says: string }
  | { readonly kind: 'silent' }

/** What is known of the storage. */
export interface StorageWord {
  /** How long the write has had no answer that is under way, or was given up; 0 after an answer, be it a refusal. */
  readonly silentMs: number
  /** What the storage said when it last refused a write; undefined while it takes them. */
  readonly refusal: string | undefined
  /** How long it has refused every write; undefined while it takes them. */
  readonly refusedMs?: number | undefined
}

/** A write is begun this often at most. */
export const WRITE_EVERY_MS = 5_000
/** A disk that is merely busy needs so long at times. */
const QUICK_MS = 1_000

/** Writes beside the looks: nobody waits for an answer. One write at a time. */
export class StorageCheck {
  readonly #clock: Clock
  readonly #write: (by: Deadline) => Promise<WriteAnswer>
  #isWriting = false
  #nextAtMs = Number.NEGATIVE_INFINITY
  /** When the first write began that has had no answer since the last answer. */
  #silentSinceMs: number | undefined
  #refusal: string | undefined
  #refusedSinceMs: number | undefined
  #wasAnswered = false
  /** Counts servers: an answer for the one before says nothing about this one. */
  #round = 0

  /** `write` never rejects. */
  constructor(clock: Clock, write: (by: Deadline) => Promise<WriteAnswer>) {
    this.#clock = clock
    this.#write = write
  }

  /** Undefined as long as nothing can be said: no answer yet, and not for long enough. */
  get word(): StorageWord | undefined {
    const sinceMs = this.#silentSinceMs
    const nowMs = this.#clock.monotonicMs()
    const silentMs = sinceMs === undefined ? 0 : nowMs - sinceMs
    if (silentMs <= QUICK_MS && !this.#wasAnswered) return undefined
    return {
      silentMs: silentMs > QUICK_MS ? silentMs : 0,
      refusal: this.#refusal,
      ...(this.#refusedSinceMs === undefined ? {} : { refusedMs: nowMs - this.#refusedSinceMs }),
    }
  }

  /** Begins a write if one is due, and gives it `patienceMs`; returns at once. */
  begin(patienceMs: number): void {
    const nowMs = this.#clock.monotonicMs()
    if (this.#isWriting || nowMs < this.#nextAtMs) return
    this.#isWriting = true
    this.#nextAtMs = nowMs + WRITE_EVERY_MS
    this.#silentSinceMs ??= nowMs
    const round = this.#round
    void this.#write(Deadline.in(this.#clock, patienceMs)).then(answer => {
      this.#isWriting = false
      if (round !== this.#round || answer.kind === 'silent') return
      this.#silentSinceMs = undefined
      this.#wasAnswered = true
      this.#refusal = answer.kind === 'refused' ? answer.says : undefined
      this.#refusedSinceMs =
        answer.kind === 'refused' ? (this.#refusedSinceMs ?? this.#clock.monotonicMs()) : undefined
    })
  }

  /** No server runs: what was learnt does not count any more. */
  forget(): void {
    this.#round += 1
    this.#silentSinceMs = undefined
    this.#refusal = undefined
    this.#refusedSinceMs = undefined
    this.#wasAnswered = false
    this.#nextAtMs = Number.NEGATIVE_INFINITY
  }
}
