// The cluster's word about replication slots: which it keeps for good, and which are somebody else's. Pure.

import { isObject, type Json, type JsonObject } from '../../cluster/json.ts'

/** A slot that exists whether or not its consumer is there. */
export type PermanentSlot =
  | { readonly kind: 'physical'; readonly clusterType: ClusterType }
  | {
      readonly kind: 'logical'
      readonly database: string
      readonly plugin: string
      readonly clusterType: ClusterType
    }
  /** Named, but not to be understood: nobody makes it, and nobody may drop it either. */
  | { readonly kind: 'unclear' }

/** In which kind of cluster a slot is kept; undefined: in both. */
export type ClusterType = 'primary' | 'standby' | undefined

/** A slot is somebody else's when every field that is given is equal. */
export interface SlotMatcher {
  readonly name?: string
  readonly type?: string
  readonly database?: string
  readonly plugin?: string
}

/** What is wrong with an entry, with the top key that it is under. */
export interface SlotWarning {
  readonly key: string
  readonly says: string
}

export interface SlotWishes {
  readonly permanent: ReadonlyMap<string, PermanentSlot>
  readonly ignored: readonly SlotMatcher[]
  readonly warnings: readonly SlotWarning[]
}

/** The first that is there counts. */
const KEYS = ['slots', 'permanent_slots', 'permanent_replication_slots']
const NAME = /^[a-z0-9_]{1,63}$/
const MATCHED = ['name', 'type', 'database', 'plugin'] as const

/** Reads `slots` (or one of its old names) and `ignore_slots` of the `config` key. */
export function slotWishes(raw: JsonObject): SlotWishes {
  const warnings: SlotWarning[] = []
  const permanent = readPermanent(raw, warnings)
  return { permanent, ignored: readIgnored(raw, warnings), warnings }
}

function readPermanent(raw: JsonObject, warnings: SlotWarning[]): ReadonlyMap<string, PermanentSlot> {
  const key = KEYS.find(name => (raw[name] ?? null) !== null)
  const permanent = new Map<string, PermanentSlot>()
  if (key === undefined) return permanent
  const value = raw[key]
  if (!isObject(value)) {
    warnings.push({ key, says: 'expected a mapping of slot names: no slot is kept' })
    return permanent
  }
  for (const [name, wish] of Object.entries(value)) {
    const says = NAME.test(name)
      ? undefined
      : `${JSON.stringify(name)} is no slot's name (a-z, 0-9, _): left out`
    if (says !== undefined) warnings.push({ key, says })
    else permanent.set(name, readSlot(key, name, wish, warnings))
  }
  return permanent
}

/** Nothing, zero or an empty mapping mean a physical slot; a database and a plugin mean a logical one. */
function readSlot(key: string, name: string, wish: Json, warnings: SlotWarning[]): PermanentSlot {
  const unclear = (says: string): PermanentSlot => {
    warnings.push({ key, says: `${name}: ${says}: the slot is neither made nor dropped` })
    return { kind: 'unclear' }
  }
  const fields = isObject(wish)
    ? wish
    : wish === null || wish === 0 || wish === '' || wish === false
      ? {}
      : undefined
  if (fields === undefined) return unclear('expected a mapping')
  const { type, database, plugin, cluster_type: clusterType } = fields
  const isComplete = typeof database === 'string' && typeof plugin === 'string'
  const kind = type ?? (isComplete ? 'logical' : 'physical')
  if (kind !== 'physical' && kind !== 'logical') return unclear('type is neither physical nor logical')
  const kept = clusterType === 'primary' || clusterType === 'standby' ? clusterType : undefined
  if (kind === 'physical') return { kind, clusterType: kept }
  if (!isComplete) return unclear('a logical slot needs database and plugin')
  return { kind, database, plugin, clusterType: kept }
}

function readIgnored(raw: JsonObject, warnings: SlotWarning[]): readonly SlotMatcher[] {
  const value = raw['ignore_slots'] ?? []
  if (!Array.isArray(value)) {
    warnings.push({ key: 'ignore_slots', says: 'expected a list: no slot is left alone for it' })
    return []
  }
  return value.flatMap(entry => {
    const matcher = readMatcher(entry as Json)
    if (matcher === undefined)
      warnings.push({
        key: 'ignore_slots',
        says: 'an entry is no mapping with name, type, database or plugin: left out',
      })
    return matcher ?? []
  })
}

/** One without any field would match every slot. */
function readMatcher(entry: Json): SlotMatcher | undefined {
  if (!isObject(entry)) return undefined
  const fields = MATCHED.flatMap(name => {
    const value = entry[name]
    return typeof value === 'string' ? [[name, value] as const] : []
  })
  return fields.length === 0 ? undefined : Object.fromEntries(fields)
}
