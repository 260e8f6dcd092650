// Our own keys `pgherd/proxies/<id>`: the proxies that live, and for which end of a term each holds its clients. Pure.

import { asBigint, asText, isObject, type Json, parseJsonObject } from './json.ts'
import type { ClusterView } from './view.ts'

/** Field of a registration: null while nothing is held. A proxy without it does not answer the leader's agent. */
export const HOLDS_FOR = 'holds_for'

/** An end of a term: the leader key's `create_revision`, and the revision in which its agent announced the end. */
export interface Holding {
  readonly createRevision: bigint
  readonly revision: bigint
}

export function printHolding(holding: Holding | undefined): Json {
  return holding === undefined
    ? null
    : { create_revision: holding.createRevision, revision: holding.revision }
}

/** A proxy that lives, by its own word. */
export interface RegisteredProxy {
  readonly name: string
  /** Does it tell what it holds for? */
  readonly answers: boolean
  readonly holdsFor: Holding | undefined
}

/** All that are registered. What cannot be read is nobody. */
export function registeredProxies({ own }: Pick<ClusterView, 'own'>): readonly RegisteredProxy[] {
  return [...own].flatMap(([key, { value }]) => {
    const fields = key.startsWith('proxies/') ? parseJsonObject(value) : undefined
    if (fields === undefined) return []
    const name = asText(fields['name']) ?? key.slice('proxies/'.length)
    return [{ name, answers: HOLDS_FOR in fields, holdsFor: readHolding(fields[HOLDS_FOR]) }]
  })
}

/** Has it answered this announcement? */
export function holdsFor({ holdsFor: holding }: RegisteredProxy, end: Holding): boolean {
  return holding?.createRevision === end.createRevision && holding.revision === end.revision
}

function readHolding(value: Json | undefined): Holding | undefined {
  if (!isObject(value)) return undefined
  const createRevision = asBigint(value['create_revision'])
  const revision = asBigint(value['revision'])
  return createRevision === undefined || revision === undefined ? undefined : { createRevision, revision }
}
