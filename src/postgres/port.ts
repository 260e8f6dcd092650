// What the agent may ask of its PostgreSQL server. Real servers stand behind `LocalServer`; simulations model it.
// No call blocks the process; each has a deadline or a signal; nothing here decides who leads.

import type { HistoryLine } from '../cluster/history.ts'
import type { JsonObject } from '../cluster/json.ts'
import type { Lsn, Timeline } from '../cluster/lsn.ts'
import type { HostPort } from '../cluster/member.ts'
import type { ServerSettings } from '../config/agent/types.ts'
import type { Deadline } from '../platform/deadline.ts'
import type { CloneProgress } from './clone-progress.ts'
import type { StorageWord } from './storage-check.ts'

/** `unknown`: the look itself failed or did not finish in time (hung storage); decide nothing from it. */
export type ProcessState = 'running' | 'starting' | 'stopping' | 'stopped' | 'unknown'
export type DataDirectoryState = 'initialized' | 'empty' | 'unreadable' | 'unknown'
export type ServerRole = 'primary' | 'replica'

/** One connected standby as pg_stat_replication shows it. */
export interface Sender {
  readonly username: string
  readonly applicationName: string
  readonly clientAddress: string | undefined
  readonly state: string
  readonly syncState: string
  readonly syncPriority: number
  readonly writeLsn: Lsn | undefined
  readonly flushLsn: Lsn | undefined
  readonly replayLsn: Lsn | undefined
}

/** How a primary's commits are confirmed now. */
export interface SynchronousFacts {
  /** `synchronous_standby_names` in effect, whoever set it. */
  readonly names: string
  /** Everything acknowledged so far lies before it. */
  readonly flushLsn: Lsn
  /**
   * The checkpointer, which alone switches waiting for standbys on and off for all sessions, is at rest: it has read its
   * configuration. In the middle of a checkpoint it may take minutes to.
   */
  readonly isCheckpointerAtRest: boolean
}

export interface Slot {
  readonly name: string
  readonly isPhysical: boolean
  readonly isActive: boolean
  readonly isTemporary: boolean
  readonly restartLsn: Lsn | undefined
  readonly holdsXmin: boolean
  readonly isLost: boolean
  /** Logical ones only. */
  readonly database?: string
  readonly plugin?: string
  /** Up to where its consumer has all. */
  readonly confirmedLsn?: Lsn
  /** Rows of the catalogs that are as old as this transaction are kept for it. */
  readonly catalogXmin?: number
  /** From 17 on: standbys that ask for it have a copy. */
  readonly isFailover?: boolean
  /** From 17 on: PostgreSQL itself keeps it equal to the primary's. */
  readonly isSynced?: boolean
}

/** A logical slot that the cluster keeps. */
export interface LogicalSlot {
  readonly name: string
  readonly database: string
  readonly plugin: string
  /** Up to where its consumer has all, as the leader published it last. */
  readonly confirmedLsn?: Lsn | undefined
  /** A copy that still asks for older rows than its position needs: each advance, be it to the same place, lets some go. */
  readonly isUnproven?: boolean
}

/** What the leader says of logical slots and of the physical slot of a standby. */
export interface SlotsOnLeader {
  readonly logical: ReadonlyMap<string, Slot>
  /** The oldest transaction whose catalog rows the leader keeps for the standby; undefined while it keeps none. */
  readonly standbyXmin: number | undefined
}

/** One logical slot that a standby did not get from its leader, and why. */
export interface SlotNotCopied {
  readonly name: string
  readonly why: string
}

/** What the server itself says, from one query. */
export interface ServerFacts {
  readonly role: ServerRole
  readonly systemId: string
  readonly timeline: Timeline
  /** 150018 style. */
  readonly serverVersion: number
  /** `YYYY-MM-DD HH:MM:SS.ffffff+ZZ:ZZ`. */
  readonly postmasterStartTime: string
  /** Written position; primaries only. */
  readonly writeLsn: Lsn | undefined
  /** max(written by the receiver, received and flushed), replay position when nothing was received; standbys only. */
  readonly receivedLsn: Lsn | undefined
  readonly replayedLsn: Lsn | undefined
  readonly replayedTimestamp: string | undefined
  readonly isReplayPaused: boolean
  /** The upstream's end of WAL as the receiver knows it. */
  readonly latestEndLsn: Lsn | undefined
  readonly replicationState: 'streaming' | 'in archive recovery' | undefined
  readonly senders: readonly Sender[]
  /** Primaries only. */
  readonly synchronous: SynchronousFacts | undefined
  readonly slots: readonly Slot[]
  readonly isRestartPending: boolean
  /** The settings that wait for a restart; absent when there are none. */
  readonly pendingSettings?: Readonly<Record<string, SettingChange>>
}

/** A setting that takes effect with the next start of the server, as PostgreSQL prints the values. */
export interface SettingChange {
  readonly before: string
  readonly after: string
}

export interface ServerStatus {
  readonly process: ProcessState
  readonly dataDirectory: DataDirectoryState
  /** Pid of the running postmaster. */
  readonly postmasterPid: number | undefined
  /** Present when the query answered in time. */
  readonly facts: ServerFacts | undefined
  /** It takes connections, be it to refuse ours: it is slow or full, but it does not hang. */
  readonly isAnswering: boolean
  /**
   * How long new connections have got no answer though the server runs, where that was asked for; a kept connection may go on
   * answering when the postmaster hangs.
   */
  readonly unansweredMs?: number | undefined
  /** Whether the storage of the data directory takes writes, where that was asked for. */
  readonly storage?: StorageWord | undefined
  /** Why there are no facts though the process runs: for the log. */
  readonly trouble: string | undefined
  /** The trouble is a mistake (a password, an access rule) that only a person can mend; time alone will not. */
  readonly isTroubleMistake?: boolean
  /** What the control file calls the server, where the agent had to look: `in production` is a primary. */
  readonly controlState?: string | undefined
  /** The timeline that goes with it: that of the latest checkpoint, which may lie behind. */
  readonly controlTimeline?: Timeline | undefined
}

/** The control file, by pg_controldata in a child. */
export interface ControlData {
  readonly systemId: string
  /** `in production`, `shut down`, `shut down in recovery`, `in archive recovery`, `in crash recovery`, `shutting down` ... */
  readonly state: string
  readonly timeline: Timeline
  readonly checkpointLsn: Lsn
  readonly minRecoveryEndLsn: Lsn
  readonly minRecoveryEndTimeline: Timeline
  readonly hasChecksums: boolean
  readonly hasWalLogHints: boolean
  readonly majorVersion: number
}

/** Who to stream from. */
export interface Upstream {
  readonly member: string
  /** Of a remote cluster: the first one told. */
  readonly address: HostPort
  /** Set when this is no member of ours but the cluster that ours follows. */
  readonly remote?: RemoteSource
}

/** Another cluster as a standby leader reaches it. */
export interface RemoteSource {
  /** Whichever of them is the primary; a single one is taken as it is. Empty: there is only an archive. */
  readonly hosts: readonly HostPort[]
  /** The slot that it keeps for us. */
  readonly slotName: string | undefined
}

/** How a stop went. `shutdownCheckpointLsn` is known when the control file says `shut down`. */
export interface StopResult {
  readonly stopped: boolean
  readonly shutdownCheckpointLsn: Lsn | undefined
}

/** Compared with the leader, where does our history stand? `unknown`: the leader could not be asked. */
export type Divergence =
  | { readonly kind: 'none' }
  | { readonly kind: 'diverged'; readonly at: Lsn; readonly localEnd: Lsn }
  /**
   * `isLeaderInRecovery`: there was nothing to compare with yet. `isLasting`: asked again it would be the same, until somebody
   * mends a login, a right or a file.
   */
  | {
      readonly kind: 'unknown'
      readonly why: string
      readonly isLeaderInRecovery?: boolean
      readonly isLasting?: boolean
    }

/** `unknown`: the leader did not tell, or our server is not at the end of its own WAL. */
export type WalOnLeader = 'there' | 'gone' | 'unknown'

export interface RewindResult {
  readonly ok: boolean
  /** Bytes of our own WAL after the point where the histories part: they are gone now. */
  readonly discardedBytes: bigint
  readonly says: string
  /** Of a failure: it would come again. False where the leader, or our own server, may do better the next time. */
  readonly isFinal: boolean
}

export interface Postgres {
  /**
   * A look from outside plus one query; never throws. `by` bounds the whole look. With `hungAfterMs` above 0 it is also seen,
   * beside, whether new connections get an answer and whether the storage takes writes, which may take it that long.
   */
  status(by: Deadline, hungAfterMs?: number): Promise<ServerStatus>
  controlData(by: Deadline): Promise<ControlData | undefined>
  /** The timeline history file of `timeline` on this server; empty on timeline 1. */
  historyLines(timeline: Timeline, by: Deadline): Promise<readonly HistoryLine[] | undefined>

  /** initdb, configuration, start, roles, post_bootstrap: ends with a running primary. Returns the system identifier. */
  bootstrap(signal: AbortSignal): Promise<string>
  /**
   * A copy by the configured methods (pg_basebackup from `source`) into the empty data directory, replica configuration; does
   * not start. Without a source by methods that need no leader.
   */
  clone(source: Upstream | undefined, signal: AbortSignal): Promise<void>
  /** How far the running clone is; undefined when none runs, or when its program does not tell. */
  cloneProgress?(): CloneProgress | undefined
  /** Renames the data directory to `<dir>.failed` (or with a number): nothing is lost. Undefined: there is none. */
  setAside(by: Deadline): Promise<string | undefined>
  /**
   * Removes everything in the data directory of a stopped server, unless the configured method uses what is there. Only when
   * the operator ordered a fresh copy.
   */
  discard(by: Deadline): Promise<void>

  /**
   * Starts the server and waits until it takes connections, fails or `signal` aborts. As replica without upstream it is
   * read-only and streams from nobody.
   */
  start(as: ServerRole, upstream: Upstream | undefined, signal: AbortSignal): Promise<boolean>
  /**
   * Stops the server. `fast` after an optional checkpoint, `immediate` without. `onShutDown` is called as soon as the
   * control file says `shut down`, before slow archiving ends. Goes on to SIGKILL of the whole family at the deadline.
   */
  stop(options: StopOptions): Promise<StopResult>
  /** Asks for promotion and waits until the server has left recovery (it takes writes) or the deadline. */
  promote(by: Deadline): Promise<boolean>
  checkpoint(by: Deadline): Promise<boolean>
  /**
   * Archives what the stopped server left, the file with its shutdown checkpoint too: who follows by the archive alone gets
   * everything. Never rejects but when `signal` aborts.
   */
  archiveEnd?(signal: AbortSignal): Promise<void>
  /** Ends client sessions that are idle outside of a transaction; returns how many others are left. Rejects when it cannot ask. */
  endIdleSessions?(by: Deadline): Promise<number>
  /**
   * Keeps the cluster's configuration beside the data, for a start while the store is away: `patroni.dynamic.json`, as Patroni
   * has it. Rejects when the data directory does not take it.
   */
  keepDynamicConfig?(raw: JsonObject, by: Deadline): Promise<void>
  /** What was kept last; undefined when nothing readable was. */
  keptDynamicConfig?(by: Deadline): Promise<JsonObject | undefined>
  /**
   * A standby whose replay stands still because its primary was restarted with larger values goes on: it ends, and starts
   * with theirs. False when an operator paused the replay. From PostgreSQL 14 on; older ones end by themselves.
   */
  endStarvedReplay?(by: Deadline): Promise<boolean>
  /** Points a standby at another upstream (or none), by reload where the version allows, else by restart. */
  follow(upstream: Upstream | undefined, by: Deadline): Promise<boolean>
  /** Does the running or stopped server's configuration already follow this upstream? */
  isFollowing(upstream: Upstream | undefined): boolean

  divergence(leader: Upstream, by: Deadline): Promise<Divergence>
  /** Does the leader still have the WAL from `from` on that our running standby needs next? Never rejects. */
  walOnLeader(leader: Upstream, from: Lsn, timeline: Timeline, by: Deadline): Promise<WalOnLeader>
  /** pg_rewind from the leader; the server is stopped first. */
  rewind(leader: Upstream, divergence: Divergence, signal: AbortSignal): Promise<RewindResult>
  /** Can pg_rewind run here (checksums or wal_log_hints, the tool, the setting)? */
  canRewind(by: Deadline): Promise<boolean>

  /**
   * Creates missing physical slots, drops unwanted ones, advances inactive ones on a standby. Logical ones are looked after
   * beside: missing ones are created on a primary, which may take as long as its longest transaction, copies on a standby
   * follow their leader's. `keepsAll`: nothing is dropped, not even to be made again. Returns what it did.
   */
  syncSlots(
    wanted: ReadonlyMap<string, Lsn | undefined>,
    facts: ServerFacts,
    by: Deadline,
    logical?: readonly LogicalSlot[],
    keepsAll?: boolean,
  ): Promise<readonly string[]>
  /** Asks the leader for these logical slots and for the physical slot by which it serves us. Rejects when it cannot. */
  slotsOnLeader?(
    leader: Upstream,
    names: readonly string[],
    standbySlot: string,
    by: Deadline,
  ): Promise<SlotsOnLeader>
  /**
   * Copies logical slots of the leader to this running standby, which is restarted for it, as follower of `upstream`. Returns
   * those that could not be copied; nothing is restarted when that is all of them. Rejects when the leader cannot be asked
   * or the server does not come up again.
   */
  copyLogicalSlots?(
    leader: Upstream,
    upstream: Upstream,
    names: readonly string[],
    signal: AbortSignal,
  ): Promise<readonly SlotNotCopied[]>
  /**
   * Decides `synchronous_standby_names` from now on, above every other setting; undefined gives it back to the
   * configuration. A running server reads it at once (true when it has), a stopped one when it starts.
   */
  setSynchronousStandbys(names: string | undefined, by: Deadline): Promise<boolean>
  /** Takes new settings: rewrites files, reloads; reports whether a restart is pending. */
  configure(settings: ServerSettings, by: Deadline): Promise<boolean>

  /** The fence's hand. Sends the signal to the postmaster at once, without waiting for anything. */
  signalPostmaster(signal: 'SIGINT' | 'SIGQUIT' | 'SIGKILL'): void
  /**
   * SIGKILL to every process that has the data directory as its working directory (an orphaned backend outlives its
   * postmaster and can still acknowledge a commit). Returns how many were found.
   */
  killFamily(): Promise<number>
  close(): Promise<void>
}

export interface StopOptions {
  readonly mode: 'fast' | 'immediate'
  readonly checkpointFirst: boolean
  readonly by: Deadline
  readonly onShutDown?: (checkpointLsn: Lsn) => void
}
