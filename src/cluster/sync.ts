// Who must confirm a commit, as the `sync` key says. Names compare without case.

import { asInteger, asText, parseJsonObject, printJson } from './json.ts'

export interface SyncState {
  readonly leader: string | undefined
  readonly quorum: number
  /** Voters in quorum mode, synchronous standbys otherwise; sorted. */
  readonly standbys: readonly string[]
}

/** Reads the `sync` key; undefined when synchronous mode is off (no leader named). */
export function parseSync(value: string): SyncState | undefined {
  const fields = parseJsonObject(value)
  const leader = fields === undefined ? undefined : asText(fields['leader'])
  if (fields === undefined || leader === undefined || leader === '') return undefined
  const standbys = (asText(fields['sync_standby']) ?? '').split(',').map(name => name.trim())
  return {
    leader,
    quorum: asInteger(fields['quorum']) ?? 0,
    standbys: standbys.filter(name => name !== '').sort(),
  }
}

/** Prints the `sync` key; nobody is JSON null. */
export function printSync(sync: SyncState): string {
  return printJson({
    leader: sync.leader ?? null,
    quorum: sync.quorum,
    sync_standby: sync.standbys.length === 0 ? null : [...sync.standbys].sort().join(','),
  })
}

/** Is `name` listed (leader included), whatever its case? */
export function isInSync(sync: SyncState, name: string): boolean {
  const wanted = name.toLowerCase()
  return [sync.leader, ...sync.standbys].some(listed => listed?.toLowerCase() === wanted)
}
