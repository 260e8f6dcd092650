// Bugs that others had, put into our own sources one at a time. `bug` tells which of them, in the words of the list of bugs
// that were met and fixed elsewhere; the simulation alone must find each.

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Durability } from '../settings.ts'
import { type Change, changeOf } from './change.ts'

export interface Mutant {
  /** Only worlds of these modes run the changed code; undefined: all do. */
  readonly modes?: readonly Durability[] | undefined
  readonly name: string
  readonly bug: string
  /** More than one where two lines of defence must fall. */
  readonly changes: readonly Change[]
}

interface Replaced {
  readonly file: string
  readonly from: string
  readonly to: string
}

interface Spec extends Replaced {
  readonly name: string
  readonly bug: string
  readonly modes?: readonly Durability[]
  /** The second line of defence. */
  readonly also?: Replaced
}

const specs: readonly Spec[] = [
  {
    name: 'claims-the-lead-past-its-deadline',
    bug: '1: the health check said primary after the lock was lost',
    file: 'src/agent/lease-keeper.ts',
    from: 'return Math.max(0, this.#deadline.safeUntilMs - this.#parts.clock.monotonicMs())',
    to: 'return this.#parts.clock.monotonicMs() > 0 ? this.ttlMs : 0',
  },
  {
    name: 'demotes-when-a-query-is-slow',
    bug: '2: a slow query demoted a good primary',
    file: 'src/agent/rules/lead.ts',
    from: '  if (facts === undefined) {\n',
    to: "  if (facts === undefined) return say('slow', 'slow', memory, { kind: 'demote', demotion: { mode: 'immediate', release: true } })\n  if (facts === undefined) {\n",
  },
  {
    name: 'does-not-see-a-running-primary',
    bug: '3: replicas did not see that the old primary still ran and promoted',
    file: 'src/agent/race.ts',
    from: 'if (peer.isPrimary) {',
    to: 'if (peer.isPrimary && peer.timeline === -1) {',
  },
  {
    name: 'old-timeline-may-lead',
    bug: '4: a primary that was frozen for long took the free lock with an old timeline',
    file: 'src/agent/race.ts',
    from: 'if (isLaterTimeline) return no(',
    to: 'if (isLaterTimeline && contest.priority < 0) return no(',
    also: {
      file: 'src/agent/rules/gate.ts',
      from: "const counts = facts.role === 'primary' || config.checkTimeline",
      to: 'const counts = facts.timeline === 0',
    },
  },
  {
    name: 'two-tasks-at-once',
    bug: '6, 29: a demotion was entered twice, actions overwrote each other',
    file: 'src/agent/tasks.ts',
    from: 'if (this.#running !== undefined) return false',
    to: 'if (this.#endedCount < 0) return false',
    also: {
      file: 'src/agent/rules/guards.ts',
      from: 'if (task === undefined) return undefined',
      to: "if (task === undefined || task.kind === 'demote') return undefined",
    },
  },
  {
    name: 'asynchronous-member-may-lead',
    modes: ['sync', 'strict'],
    bug: '10: in synchronous mode an asynchronous member could be picked',
    file: 'src/agent/rules/gate.ts',
    from: 'if (promise === undefined || isInSync(promise, self.name)) return undefined',
    to: 'if (promise === undefined || promise.leader !== undefined) return undefined',
  },
  {
    name: 'sync-key-names-who-is-not-waited-for',
    modes: ['sync', 'strict'],
    bug: '11: the sync key and synchronous_standby_names went out of step',
    file: 'src/agent/sync/priority.ts',
    from: 'intersect(intersect(recorded.standbys, holders), wanted)',
    to: 'recorded.standbys',
  },
  {
    name: 'counts-standbys-before-they-caught-up',
    modes: ['sync', 'strict'],
    bug: '11, 12: a standby was counted on before it had everything',
    file: 'src/agent/sync/priority.ts',
    from: 'union(standing, intersect(scene.confirmed, wanted))',
    to: 'union(standing, wanted)',
  },
  {
    name: 'quorum-without-votes',
    modes: ['quorum'],
    bug: '13: the candidate check ignored the quorum',
    file: 'src/agent/race.ts',
    from: 'if (votes >= promise.quorum) return yes',
    to: 'if (votes >= -2) return yes',
  },
  {
    name: 'renews-too-seldom',
    bug: '21: the lease was not refreshed often enough',
    file: 'src/agent/lease-timings.ts',
    from: 'return Math.min(timings.loopWaitMs, timings.ttlMs / 6)',
    to: 'return timings.ttlMs * 0.9',
  },
  {
    name: 'does-not-rewind',
    bug: '27: a needed rewind was not seen',
    file: 'src/agent/rules/recover.ts',
    from: "if (divergence.kind === 'diverged')\n",
    to: "if (divergence.kind === 'diverged' && snapshot.self.name === '')\n",
    also: {
      file: 'src/agent/rules/follow.ts',
      from: "if (divergence.kind === 'diverged') {",
      to: "if (divergence.kind === 'diverged' && snapshot.self.name === '') {",
    },
  },
  {
    name: 'same-leader-new-term-not-compared',
    bug: '27: the same leader on a new timeline was not noticed',
    file: 'src/agent/rules/recover.ts',
    from: 'if (memory.cleanAgainst === leader.createRevision) {',
    to: 'if (memory.cleanAgainst !== undefined) {',
    // Whoever still runs would notice it in its next turn.
    also: {
      file: 'src/agent/rules/follow.ts',
      from: 'if (memory.cleanAgainst === mark) return { memory }',
      to: 'if (memory.cleanAgainst !== undefined) return { memory }',
    },
  },
  {
    name: 'late-writes-are-applied',
    bug: 'a leader that was overtaken still wrote status and history',
    file: 'src/dcs/leadership.ts',
    from: 'return dcs.write([stillHolds(hold), ...conditions], writes, by)',
    to: 'return dcs.write(conditions, writes, by)',
  },
  {
    name: 'takes-a-key-that-is-there',
    bug: '5: two nodes fought for the lock: it was taken without a compare',
    file: 'src/dcs/leadership.ts',
    from: "[{ kind: 'absent', key: 'leader' }, ...conditions],",
    to: 'conditions,',
  },
  {
    name: 'no-fence',
    bug: 'a demotion that waits for the loop came too late',
    file: 'src/agent/fence.ts',
    from: 'if (leftMs <= 0) this.#kill()',
    to: 'if (leftMs <= -1e12) this.#kill()',
  },
  {
    name: 'gate-stays-open',
    bug: 'the router passed on what a frozen proxy had buffered',
    file: 'src/proxy/backend.ts',
    from: 'return this.#closedBecause === undefined && atMs < this.#untilMs',
    to: 'return this.#closedBecause === undefined',
  },
  {
    name: 'believes-the-lease-for-too-long',
    modes: ['async'],
    bug: '18, 19: a proxy without etcd went by a view that had long ended',
    file: 'src/proxy/route.ts',
    from: 'hasKey ? leadership.leaseUntilMs : Number.NEGATIVE_INFINITY,',
    to: 'hasKey ? leadership.leaseUntilMs + 600_000 : Number.NEGATIVE_INFINITY,',
  },
]

/** All of them; throws when a source no longer contains what is to be changed. */
export function namedMutants(): readonly Mutant[] {
  return specs.map(({ name, bug, modes, also, ...first }) => {
    const changes = (also === undefined ? [first] : [first, also]).map(({ file, from, to }) => {
      const text = readFileSync(fileURLToPath(new URL(`../../../${file}`, import.meta.url)), 'utf8')
      return changeOf(file, text, from, to)
    })
    return { name, bug, modes, changes }
  })
}
