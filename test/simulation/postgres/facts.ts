// What a modelled server says about itself.

import type { ControlData, Sender as SenderFacts, ServerFacts } from '../../../src/postgres/port.ts'
import type { DataDirectory } from './data-directory.ts'
import type { SimServer } from './server.ts'
import type { Sender } from './streaming.ts'
import { synchronous, syncPriority } from './sync-names.ts'

export const SERVER_VERSION = 150018

export function factsOf(server: SimServer, data: DataDirectory): ServerFacts {
  const isPrimary = server.role === 'primary'
  const end = data.endLsn
  return {
    role: server.role,
    systemId: data.systemId,
    timeline: data.timeline,
    serverVersion: SERVER_VERSION,
    postmasterStartTime: startTime(server.startedAtMs),
    writeLsn: isPrimary ? end : undefined,
    receivedLsn: isPrimary ? undefined : end,
    replayedLsn: isPrimary ? undefined : end,
    replayedTimestamp: undefined,
    isReplayPaused: false,
    latestEndLsn: undefined,
    replicationState: server.receiver?.isStreaming === true ? 'streaming' : undefined,
    senders: sendersOf(server),
    synchronous: isPrimary
      ? { names: server.syncNamesText, flushLsn: end, isCheckpointerAtRest: server.isCheckpointerAtRest }
      : undefined,
    slots: [],
    isRestartPending: false,
  }
}

function sendersOf(server: SimServer): readonly SenderFacts[] {
  const sync = server.syncNames
  const inSync = sync === undefined ? [] : synchronous(sync, server.senders)
  return [...server.senders].map(sender => ({
    username: 'replicator',
    applicationName: sender.name,
    clientAddress: sender.standby.address.host,
    state: 'streaming',
    syncState: syncState(server, sender, inSync),
    syncPriority:
      sync?.method === 'any' ? Math.min(1, syncPriority(sync, sender.name)) : syncPriority(sync, sender.name),
    writeLsn: BigInt(sender.flushedEnd),
    flushLsn: BigInt(sender.flushedEnd),
    replayLsn: BigInt(sender.flushedEnd),
  }))
}

function syncState({ syncNames }: SimServer, sender: Sender, inSync: readonly Sender[]): string {
  if (syncPriority(syncNames, sender.name) === 0) return 'async'
  if (syncNames?.method === 'any') return 'quorum'
  return inSync.includes(sender) ? 'sync' : 'potential'
}

export function controlOf(data: DataDirectory | undefined): ControlData | undefined {
  if (data === undefined) return undefined
  return {
    systemId: data.systemId,
    state: data.control,
    timeline: data.checkpointTimeline,
    checkpointLsn: data.endLsn,
    minRecoveryEndLsn: data.control === 'in archive recovery' ? data.endLsn : 0n,
    minRecoveryEndTimeline: data.control === 'in archive recovery' ? data.timeline : 0,
    hasChecksums: true,
    hasWalLogHints: true,
    majorVersion: 15,
  }
}

/** `YYYY-MM-DD HH:MM:SS.ffffff+ZZ:ZZ` */
function startTime(wallMs: number): string {
  return `${new Date(wallMs).toISOString().replace('T', ' ').replace('Z', '000+00:00')}`
}
