// One immutable look at everything a decision may use. Rules read nothing else.

import type { Lsn, Timeline } from '../cluster/lsn.ts'
import type { HostPort, Tags } from '../cluster/member.ts'
import type { ClusterView } from '../cluster/view.ts'
import type { DynamicConfig } from '../config/agent/types.ts'
import type { LeaderHold } from '../dcs/dcs.ts'
import type { Divergence, ServerStatus, WalOnLeader } from '../postgres/port.ts'
import { firstSyncMemory, type SyncMemory } from './sync/scene.ts'
import type { WatchdogState } from './watchdog.ts'

/** What never changes while the process runs (a reload makes a new one). */
export interface Self {
  readonly name: string
  readonly scope: string
  readonly address: HostPort
  readonly tags: Tags
  /** The file has a bootstrap section, so this node may start a new cluster. */
  readonly canBootstrap: boolean
  /** A configured replica method needs no leader. */
  readonly canCloneAlone?: boolean
  readonly usePgRewind: boolean
  readonly removeOnRewindFailure: boolean
  readonly removeOnDivergence: boolean
  /** `synchronous_commit` as configured: what a standby confirms. */
  readonly synchronousCommit: string
}

/** What this process last decided about `synchronous_standby_names`. */
export interface SynchronousHold {
  /** False until the server took it: it may still have what was wanted before, by this process or an earlier one. */
  readonly isKnown: boolean
  /** Undefined: it is the configuration's. */
  readonly names: string | undefined
}

/** A peer's answer to GET /patroni in this turn. */
export interface PeerAnswer {
  readonly name: string
  readonly isReachable: boolean
  /** Its server runs out of recovery. */
  readonly isPrimary: boolean
  readonly walPosition: Lsn | undefined
  readonly timeline: Timeline | undefined
  /** It receives WAL just now: its position may still move. */
  readonly isStreaming: boolean
  /** It runs pgherd: without a leader it ends its receiver as soon as it sees that. */
  readonly isOurs: boolean
  readonly mayLead: boolean
  readonly failoverPriority: number
  readonly watchdogFailed: boolean
  /** How long its storage has not answered a write; undefined while it does. */
  readonly storageSilentMs?: number | undefined
  /** Why its storage refuses writes; undefined while it takes them. */
  readonly storageRefusal?: string | undefined
}

export type TaskKind =
  | 'bootstrap'
  | 'clone'
  | 'start'
  | 'promote'
  | 'demote'
  | 'rewind'
  | 'restart'
  | 'reinitialize'

/** Long work under way; at most one. */
export interface RunningTask {
  readonly kind: TaskKind
  readonly startedAtMs: number
  readonly says: string
}

export interface LeaseState {
  /** Our hold on the leader key, verified against the last read; undefined when we do not have it. */
  readonly hold: LeaderHold | undefined
  /** Milliseconds until our own strict deadline; 0 without a hold. */
  readonly leftMs: number
  readonly leaseId: bigint | undefined
  /** The fence is ending the server right now. */
  readonly isFencing: boolean
}

export interface FailsafeState {
  /** Our leadership rests on the word of the other members. */
  readonly isLeading: boolean
  /** The leader that we have promised not to run against. */
  readonly promisedTo: string | undefined
}

export interface Snapshot {
  readonly nowMs: number
  readonly wallMs: number
  readonly self: Self
  readonly config: DynamicConfig
  /** Undefined when etcd did not answer in this turn. */
  readonly view: ClusterView | undefined
  /** How long this process runs. */
  readonly ageMs: number
  readonly failsafe: FailsafeState
  /** How long the leader key has been missing, as far as we saw; 0 while there is one. */
  readonly leaderlessMs: number
  readonly server: ServerStatus
  /** How long our server has told nothing while we hold the key; 0 while it answers. */
  readonly silentMs: number
  /** Of our data directory, from the server or the control file; undefined while there is none. */
  readonly systemId: string | undefined
  readonly synchronousNames: SynchronousHold
  /** The server's configuration already streams from the current leader. */
  readonly isFollowingLeader: boolean
  /** It streams from the member that our tag `replicatefrom` names. */
  readonly isFollowingNamed?: boolean
  /** It follows the cluster that a standby cluster follows. */
  readonly isFollowingRemote?: boolean
  /** The server's configuration names no upstream. */
  readonly isFollowingNobody: boolean
  readonly task: RunningTask | undefined
  readonly lease: LeaseState
  readonly watchdog: WatchdogState
  /** Answers to the `ask` actions of this turn. */
  readonly peers: readonly PeerAnswer[] | undefined
  readonly divergence: Divergence | undefined
  /** Asked with a divergence: false when pg_rewind can never work on our data. */
  readonly canRewind?: boolean | undefined
  /** Has the leader the WAL that we need next? */
  readonly walOnLeader?: WalOnLeader | undefined
  /** How the last leadership write of this turn ended. */
  readonly acquired: 'won' | 'lost' | 'unknown' | undefined
}

/** A standby that receives nothing, since when, and what its leader said of the WAL that it needs. */
export interface StandStill {
  /** The leader's term. */
  readonly epoch: bigint
  readonly position: Lsn
  readonly sinceMs: number
  readonly askedAtMs: number | undefined
  readonly isWalGone: boolean
}

/** The member that `replicatefrom` names sends nothing, though its key says that it could. */
export interface SilentNamed {
  /** Of its key: another lease is another life of its agent. */
  readonly leaseId: bigint
  readonly sinceMs: number
  /** Since when we follow the leader instead. */
  readonly givenUpAtMs: number | undefined
}

/** What the agent remembers from turn to turn. */
export interface Memory {
  /** Our own idea of our role, which survives the server being down. */
  readonly role: 'primary' | 'replica' | 'demoted' | 'uninitialized' | 'promoted'
  /** False until a first turn with a cluster view has been finished. */
  readonly isSettled: boolean
  /** Members with an API at the last time there was a leader: the race asks these too. */
  readonly electorate: ReadonlyMap<string, string>
  /** Undefined while the named member feeds us. */
  readonly silentNamed?: SilentNamed | undefined
  /** When the history was last compared with the remote cluster's. */
  readonly comparedAtMs?: number | undefined
  /** The epoch (create_revision) against which our history was found clean; negative: the remote cluster's, in that epoch. */
  readonly cleanAgainst: bigint | undefined
  /** Rewind failed against this epoch: do not try for ever. */
  readonly rewindFailedAgainst: bigint | undefined
  /** A rewind did not come to its work: not before this instant again. */
  readonly rewindPause?: { readonly tries: number; readonly untilMs: number } | undefined
  readonly lastLeader: string | undefined
  /** Starts that failed in a row. */
  readonly failedStarts: number
  /** After a failed start the next one waits until this instant. */
  readonly nextStartAtMs: number
  /** Our WAL position when the race was last put off, and when that was. */
  readonly putOff: { readonly position: Lsn; readonly atMs: number } | undefined
  /** When we last tried to end our receiver, since there was a leader. */
  readonly stoppedReceivingAtMs?: number | undefined
  /** The leader of the `sync` key, and when it last said in a race that it is no primary. */
  readonly restingLeader?: { readonly name: string; readonly atMs: number } | undefined
  /** An operator named us while the cluster is paused: we may promote. */
  readonly isNamedInPause: boolean
  /** The cluster was paused when we last decided anything. */
  readonly wasPaused?: boolean
  /** We stopped the server ourselves: we start it again even while the cluster is paused. Over once it is up. */
  readonly isOursToStart: boolean
  /** We threw our data away at an order, and the copy that was to take its place failed. Over once a server is up. */
  readonly isToBeCopied?: boolean
  /** When the leader's server was last started in place, latest last; a few. */
  readonly restartsAtMs: readonly number[]
  /** Undefined while WAL arrives. */
  readonly standStill?: StandStill | undefined
  /** When this server was last given up for want of WAL, to be copied anew. */
  readonly rebuiltAtMs?: number | undefined
  /** When we last handed over because our storage refuses writes: nobody may have taken over. */
  readonly handedOverAtMs?: number | undefined
  /** When `pre_promote` last refused: for the time of a lease others may try. */
  readonly prePromoteFailedAtMs?: number
  /** The leader's synchronous upkeep. */
  readonly sync: SyncMemory
}

export const firstMemory: Memory = {
  role: 'uninitialized',
  isSettled: false,
  electorate: new Map(),
  cleanAgainst: undefined,
  rewindFailedAgainst: undefined,
  lastLeader: undefined,
  failedStarts: 0,
  nextStartAtMs: Number.NEGATIVE_INFINITY,
  putOff: undefined,
  isNamedInPause: false,
  isOursToStart: false,
  restartsAtMs: [],
  sync: firstSyncMemory,
}
