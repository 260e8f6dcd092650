// How a replica is made: pg_basebackup, or programs of the operator's, tried in the order given. Pure.

import { isObject, type Json } from '../../cluster/json.ts'
import type { ReplicaMethod } from './types.ts'
import { readBoolean } from './units.ts'

const BASEBACKUP = 'basebackup'
const OURS = new Set(['command', 'no_params', 'keep_data', 'no_leader', 'no_master'])

/** The methods by name; `readKey` reads a key of the `postgresql` section. */
export function replicaMethods(
  readKey: (key: string) => Json | undefined,
  names: readonly string[] = methodNames(readKey),
): readonly ReplicaMethod[] {
  return names.map(name => readMethod(name, readKey(name)))
}

/** `create_replica_methods` (old: `create_replica_method`): a list, or names between commas. */
export function methodNames(readKey: (key: string) => Json | undefined): readonly string[] {
  const value = readKey('create_replica_methods') ?? readKey('create_replica_method')
  const list = typeof value === 'string' ? value.split(',') : Array.isArray(value) ? value : []
  const names = list.flatMap(name => (typeof name === 'string' && name.trim() !== '' ? [name.trim()] : []))
  return names.length > 0 ? names : [BASEBACKUP]
}

function readMethod(name: string, section: Json | undefined): ReplicaMethod {
  const fields = isObject(section) ? section : {}
  const isOn = (key: string) => readBoolean(fields[key]) === true
  const { command } = fields
  if (name === BASEBACKUP && command === undefined) {
    return { name, command: undefined, options: [], noParams: false, keepData: false, noLeader: false }
  }
  const options = Object.entries(fields).flatMap(([key, value]) => {
    const isPlain = value !== null && typeof value !== 'object'
    return OURS.has(key) || !isPlain ? [] : [[key, String(value)] as const]
  })
  return {
    name,
    command: typeof command === 'string' ? command : name,
    options,
    noParams: isOn('no_params'),
    keepData: isOn('keep_data'),
    noLeader: isOn('no_leader') || isOn('no_master'),
  }
}
