// How long to wait for one member before another is asked as well. Follows what answers take just now, so that an etcd that
// is merely slow is not asked everything twice, and one that is silent is left soon.

const SHARE_MAX_MS = 1_500
const SHARE_MIN_MS = 200
/** What an answer took counts up to this: a member that was frozen says nothing about the others. */
const TOOK_MAX_MS = 2_500
/** Each quicker answer takes this much of the memory of a slow one away. */
const FORGET = 0.2

export class Patience {
  #retryTimeoutMs: number
  #recentMs = 0

  /** `retryTimeoutMs`: the time in which all members should have had a try. */
  constructor(retryTimeoutMs: number) {
    this.#retryTimeoutMs = retryTimeoutMs
  }

  setRetryTimeout(durationMs: number): void {
    this.#retryTimeoutMs = durationMs
  }

  /** A member answered after this time. */
  note(tookMs: number): void {
    this.#recentMs = Math.max(Math.min(tookMs, TOOK_MAX_MS), this.#recentMs * (1 - FORGET))
  }

  /** Time for one of so many members, in milliseconds. */
  attemptMs(members: number): number {
    const share = this.#retryTimeoutMs / Math.max(1, members)
    return Math.max(Math.min(Math.max(share, SHARE_MIN_MS), SHARE_MAX_MS), this.#recentMs * 1.5)
  }
}
