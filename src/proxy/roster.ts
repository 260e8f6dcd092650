// The members known to the proxy. One that vanishes from the store is remembered for a while: its key goes with its
// lease, and its own answers must still be heard.

import type { JsonObject } from '../cluster/json.ts'
import { type HostPort, hostPortOf, type Member, type Tags } from '../cluster/member.ts'

/** How long a member is remembered after its key has gone. */
export const REMEMBERED_MS = 60_000

export interface RosterMember {
  readonly name: string
  readonly tags: Tags
  /** Where its server takes connections. */
  readonly address: HostPort
  /** Where its REST server answers; undefined when it has told none. */
  readonly apiUrl: string | undefined
  /** What only our own agents publish. */
  readonly pgherd: JsonObject | undefined
  /** Monotonic time at which its key was seen to be gone. */
  readonly absentSinceMs: number | undefined
}

export class Roster {
  readonly #members = new Map<string, RosterMember>()

  get members(): ReadonlyMap<string, RosterMember> {
    return this.#members
  }

  /** Takes the whole list as it is now. */
  replace(members: Iterable<Member>, nowMs: number): void {
    const present = new Set<string>()
    for (const member of members) {
      present.add(member.name)
      this.put(member)
    }
    for (const name of this.#members.keys()) {
      if (!present.has(name)) this.remove(name, nowMs)
    }
  }

  /** Takes one member. Without a usable address it changes nothing: a half-written key must not lose a server. */
  put(member: Member): void {
    const address = hostPortOf(member.connUrl)
    if (address === undefined) return
    const { name, tags, apiUrl, pgherd } = member
    this.#members.set(name, { name, tags, address, apiUrl, pgherd, absentSinceMs: undefined })
  }

  /** The member's key is gone; it is forgotten after REMEMBERED_MS. */
  remove(name: string, nowMs: number): void {
    const member = this.#members.get(name)
    if (member === undefined) return
    const absentSinceMs = member.absentSinceMs ?? nowMs
    if (nowMs - absentSinceMs >= REMEMBERED_MS) this.#members.delete(name)
    else this.#members.set(name, { ...member, absentSinceMs })
  }

  /** The store was replaced: nothing it said before counts. */
  clear(): void {
    this.#members.clear()
  }
}
