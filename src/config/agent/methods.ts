// How a replica is made: pg_basebackup, or programs of the operator's, tried in the order given. Pure.

import { isObject, type Json, type JsonObject } from '../../cluster/json.ts'
import type { Section } from './section.ts'
import type { BootstrapMethod, ReplicaMethod } from './types.ts'
import { readBoolean } from './units.ts'

const BASEBACKUP = 'basebackup'
const OF_BOOTSTRAP = new Set(['command', 'no_params', 'keep_existing_recovery_conf', 'recovery_conf'])
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
  return {
    name,
    command: typeof command === 'string' ? command : name,
    options: plainOptions(fields, OURS),
    noParams: isOn('no_params'),
    keepData: isOn('keep_data'),
    noLeader: isOn('no_leader') || isOn('no_master'),
  }
}

/** `bootstrap.<name>`: how a new cluster is made of a backup. UserError without a command. */
export function readBootstrapMethod(bootstrap: Section, name: string): BootstrapMethod {
  const section = bootstrap.section(name)
  const command = section.requiredText('command', 'a program that fills the data directory')
  const conf = section.section('recovery_conf').values
  const keepsRecovery = readBoolean(section.values['keep_existing_recovery_conf']) === true
  const recovery = keepsRecovery ? {} : recoveryTarget(conf)
  if (keepsRecovery && Object.keys(conf).length > 0)
    section.warn('recovery_conf', 'has no effect beside keep_existing_recovery_conf')
  return {
    name,
    command,
    options: plainOptions(section.values, OF_BOOTSTRAP),
    noParams: readBoolean(section.values['no_params']) === true,
    keepsRecovery,
    recovery,
  }
}

/** Whoever names a target wants a primary there. */
function recoveryTarget(conf: JsonObject): Readonly<Record<string, string>> {
  const given = plainOptions(conf, new Set()).map(([key, value]) => [key.toLowerCase(), value] as const)
  if (given.length === 0) return {}
  return {
    recovery_target_timeline: 'latest',
    recovery_target_action: 'promote',
    ...Object.fromEntries(given),
  }
}

function plainOptions(
  fields: JsonObject,
  without: ReadonlySet<string>,
): readonly (readonly [string, string])[] {
  return Object.entries(fields).flatMap(([key, value]) => {
    const isPlain = value !== null && typeof value !== 'object'
    return without.has(key) || !isPlain ? [] : [[key, String(value)] as const]
  })
}
