// What the agent says of the storage of its server's data directory.

import type { JsonObject } from '../cluster/json.ts'
import type { ServerStatus } from '../postgres/port.ts'
import type { StorageWord } from '../postgres/storage-check.ts'
import type { AgentParts } from './parts.ts'
import { isStorageHung } from './rules/say.ts'
import type { AgentState } from './state.ts'

/** One event when it begins to hang or to refuse writes, with another reason again, and one when it takes them again. */
export function noteStorage(state: AgentState, server: ServerStatus, events: AgentParts['events']): void {
  const before = state.storageTrouble
  const trouble = troubleOf({ server, config: state.config })
  // Half a look: a server that is being started or stopped tells nothing about its storage.
  if (server.storage === undefined || trouble === before) return
  state.storageTrouble = trouble
  if (trouble !== undefined) events.record({ kind: 'storage-trouble', says: trouble })
  else events.record({ kind: 'storage-works', says: 'the storage of the data directory takes writes again' })
}

function troubleOf({ server, config }: Pick<AgentState, 'server' | 'config'>): string | undefined {
  const { refusal } = server.storage ?? {}
  if (refusal !== undefined) return `the storage of the data directory refuses writes: ${refusal}`
  if (!isStorageHung({ server, config })) return undefined
  return 'the storage of the data directory hangs: it takes no write'
}

/** The fields below `pgherd` of `/patroni`. */
export function storageFields(word: StorageWord | undefined): JsonObject {
  const { silentMs, refusal } = word ?? { silentMs: 0, refusal: undefined }
  return {
    ...(silentMs > 0 ? { storage_unanswered_ms: Math.round(silentMs) } : {}),
    ...(refusal === undefined ? {} : { storage_refuses: refusal }),
  }
}
