// synchronous_standby_names as the modelled server understands it.

import type { Sender } from './streaming.ts'

export interface SyncNames {
  readonly method: 'first' | 'any'
  readonly count: number
  /** In lower case, as PostgreSQL compares them; `*` is everybody. */
  readonly names: readonly string[]
}

/** Undefined when nobody has to confirm. */
export function parseSyncNames(value: string): SyncNames | undefined {
  const text = value.trim()
  if (text === '') return undefined
  const match = /^(?:(ANY|FIRST)\s+)?(\d+)\s*\(([^)]*)\)$/i.exec(text)
  const method = match?.[1]?.toUpperCase() === 'ANY' ? 'any' : 'first'
  const names = (match?.[3] ?? text).split(',').map(name => name.trim().replace(/^"|"$/g, '').toLowerCase())
  return { method, count: Number(match?.[2] ?? 1), names }
}

/** The place of a standby in the list, from 1; 0 when it is not in it. */
export function syncPriority(sync: SyncNames | undefined, name: string): number {
  if (sync === undefined) return 0
  return sync.names.findIndex(listed => listed === '*' || listed === name.toLowerCase()) + 1
}

/** The senders that are synchronous now: with `first` the best of those connected, with `any` all that are listed. */
export function synchronous(sync: SyncNames, senders: Iterable<Sender>): readonly Sender[] {
  const listed = [...senders]
    .filter(sender => syncPriority(sync, sender.name) > 0)
    .sort((one, other) => syncPriority(sync, one.name) - syncPriority(sync, other.name))
  return sync.method === 'any' ? listed : listed.slice(0, sync.count)
}

/** Have enough synchronous standbys flushed up to `end`? */
export function isConfirmed(sync: SyncNames | undefined, senders: Iterable<Sender>, end: number): boolean {
  if (sync === undefined) return true
  const confirmed = synchronous(sync, senders).filter(sender => sender.flushedEnd >= end)
  return confirmed.length >= sync.count
}
