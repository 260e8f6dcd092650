// What the running agent shares between its loop, its executor and its REST face: the latest of everything.

import type { JsonObject } from '../cluster/json.ts'
import type { ScheduledRestart } from '../cluster/restart.ts'
import type { ClusterView } from '../cluster/view.ts'
import type { DynamicConfig } from '../config/agent/types.ts'
import type { Divergence, ServerStatus } from '../postgres/port.ts'
import type { FailoverPhases } from './member-key.ts'
import type { LogicalSlotState } from './slot-copies.ts'
import type { SlotMemory } from './slots.ts'
import { firstMemory, type Memory, type SynchronousHold } from './snapshot.ts'

/** The latest known state; replaced piece by piece by the loop alone. */
export class AgentState {
  memory: Memory = firstMemory
  view: ClusterView | undefined
  /** The last view that was read, kept while etcd is silent. */
  lastView: ClusterView | undefined
  dcsLastSeenWallMs: number | undefined
  server: ServerStatus = {
    process: 'unknown',
    dataDirectory: 'unknown',
    postmasterPid: undefined,
    facts: undefined,
    isAnswering: false,
    trouble: undefined,
  }
  serverTakenAtMs = Number.NEGATIVE_INFINITY
  systemId: string | undefined
  config: DynamicConfig
  nextTurnAtMs = Number.NEGATIVE_INFINITY
  phases: FailoverPhases | undefined
  checkpointAfterPromote = true
  scheduledRestart: ScheduledRestart | undefined
  /** When the leader key was first seen gone; undefined while there is one. */
  keyGoneAtMs: number | undefined
  /** What was last told of the storage; undefined: that it takes writes. */
  storageTrouble: string | undefined
  /** Since when our server has told nothing while we hold the key. */
  silentSinceMs: number | undefined
  /** A write of the leader key is under way: nobody else may be promised anything. */
  isTaking = false
  /** The `failsafe` key as we last tried to write it. */
  writtenFailsafe: Readonly<Record<string, string>> = {}
  /** We stop soon: our member key says that nobody should wait for us. */
  isLeavingSync = false
  /** The create_revision of the key that we took last. */
  lastTerm: bigint | undefined
  lockMs: number | undefined
  slots: SlotMemory = new Map()
  /** The cluster's logical slots as they stand on this member. */
  logicalSlots: ReadonlyMap<string, LogicalSlotState> = new Map()
  writtenMember: { readonly value: string; readonly revision: bigint } | undefined
  writtenStatus: string | undefined
  synchronousNames: SynchronousHold = { isKnown: false, names: undefined }
  /** `synchronous_standby_names` as last seen on our own primary. */
  seenSynchronousNames: string | undefined
  /** The server settings last handed over, as text. */
  appliedSettings: string | undefined
  /** The node's file was read again: the server reads its files again whatever has changed. */
  isReloadOrdered = false
  /** The configuration that lies beside the data, by its revision in the store. */
  keptConfigRevision: bigint | undefined
  /** The configuration that this member works by, server included, by its revision in the store. */
  usedConfigRevision: bigint | undefined
  /** The divergence that the running rewind goes by. */
  divergence: Divergence | undefined
  exitCode: number | undefined
  /** What others read while a cluster is being made here. */
  bootstrapWord = 'initializing new cluster'
  isCrashed = false
  /** The server is being stopped, or was, by our own will. */
  isStopExpected = false

  constructor(config: DynamicConfig) {
    this.config = config
  }
}

/** The member state text of a server that is in the hands of a task, or as it stands. */
export function memberState(state: AgentState, task: string | undefined): string {
  switch (task) {
    case 'bootstrap':
      return state.bootstrapWord
    case 'clone':
    case 'reinitialize':
      return 'creating replica'
    case 'restart':
      return 'restarting'
    case 'start':
      return 'starting'
    case 'demote':
      return 'stopping'
    case 'rewind':
      return 'stopped'
    default:
      return serverState(state)
  }
}

function serverState({ server, isCrashed, memory }: AgentState): string {
  if (server.facts !== undefined) return 'running'
  if (server.process === 'starting') return 'starting'
  // It runs and tells us nothing: it hangs, or lets us not in. Others must find out for themselves what it does for them.
  if (server.process === 'running') return 'unknown'
  if (server.process === 'stopping') return 'stopping'
  if (memory.failedStarts > 0) return 'start failed'
  return isCrashed ? 'crashed' : 'stopped'
}

/** Why a server that should run tells nothing, for people: `trouble`, or nothing. */
export function troubleOf({ server }: AgentState): JsonObject {
  const isSilent = server.facts === undefined && server.process !== 'stopped'
  return isSilent && server.trouble !== undefined ? { trouble: server.trouble } : {}
}

/** What waits for a restart, as others read it: empty when nothing does. */
export function pendingReasons({ server }: AgentState): JsonObject {
  const settings = Object.entries(server.facts?.pendingSettings ?? {})
  return Object.fromEntries(
    settings.map(([name, { before, after }]) => [name, { old_value: before, new_value: after }]),
  )
}

/**
 * The role that others read: what the server says, else what we believe of ourselves. A server that does not run is no
 * primary: the race of the others would wait for it for ever. `hasKey`: we hold the leader key.
 */
export function memberRole({ server, memory, config }: AgentState, hasKey: boolean): string {
  const isStandbyLeader = hasKey && config.standbyCluster !== undefined && server.facts?.role === 'replica'
  if (isStandbyLeader) return 'standby_leader'
  if (server.facts !== undefined) return server.facts.role
  if (memory.role === 'promoted') return 'replica'
  return memory.role === 'primary' && server.process === 'stopped' ? 'demoted' : memory.role
}
