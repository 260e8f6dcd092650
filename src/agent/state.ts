// What the running agent shares between its loop, its executor and its REST face: the latest of everything.

import type { ClusterView } from '../cluster/view.ts'
import type { DynamicConfig } from '../config/agent/types.ts'
import type { Divergence, ServerStatus } from '../postgres/port.ts'
import type { FailoverPhases } from './member-key.ts'
import type { SlotMemory } from './slots.ts'
import { firstMemory, type Memory } from './snapshot.ts'

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
    trouble: undefined,
  }
  serverTakenAtMs = Number.NEGATIVE_INFINITY
  systemId: string | undefined
  config: DynamicConfig
  nextTurnAtMs = Number.NEGATIVE_INFINITY
  phases: FailoverPhases | undefined
  checkpointAfterPromote = true
  isRestartPending = false
  /** When the leader key was first seen gone; undefined while there is one. */
  keyGoneAtMs: number | undefined
  lockMs: number | undefined
  slots: SlotMemory = new Map()
  writtenMember: { readonly value: string; readonly leaseId: bigint } | undefined
  writtenStatus: string | undefined
  /** The server settings last handed over, as text. */
  appliedSettings: string | undefined
  /** The divergence that the running rewind goes by. */
  divergence: Divergence | undefined
  exitCode: number | undefined
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
      return 'initializing new cluster'
    case 'clone':
      return 'creating replica'
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
  if (server.process === 'starting' || server.process === 'running') return 'starting'
  if (server.process === 'stopping') return 'stopping'
  if (memory.failedStarts > 0) return 'start failed'
  return isCrashed ? 'crashed' : 'stopped'
}

/** The role that others read: what the server says, else what we believe of ourselves. */
export function memberRole({ server, memory }: AgentState): string {
  if (server.facts !== undefined) return server.facts.role
  return memory.role === 'promoted' ? 'replica' : memory.role
}
