// The cluster that this one follows: the `standby_cluster` section of the cluster's own configuration. Pure.

import { asText, isObject, type Json, type JsonObject } from '../../cluster/json.ts'
import type { HostPort } from '../../cluster/member.ts'
import { isStandbyCluster } from '../../cluster/summary.ts'
import type { StandbySource } from './types.ts'

const DEFAULT_PORT = 5432
/** What a slot may be called in PostgreSQL; anything else would keep the receiver from starting. */
const SLOT_NAME = /^[a-z0-9_]{1,63}$/

export interface StandbyReading {
  /** Undefined: this cluster follows nobody. */
  readonly source: StandbySource | undefined
  /** What was left out of the section, and why. */
  readonly warnings: readonly string[]
}

/** Reads the section; what is malformed in it is left out with a warning, and the cluster stays a standby cluster. */
export function readStandby(raw: JsonObject): StandbyReading {
  const section = raw['standby_cluster']
  if (!isObject(section)) {
    const isNothing = section === undefined || section === null
    return {
      source: undefined,
      warnings: isNothing ? [] : ['expected a section: this cluster follows nobody'],
    }
  }
  if (!isStandbyCluster(raw)) {
    const isEmpty = Object.keys(section).length === 0
    const says = 'names neither host nor restore_command: this cluster follows nobody'
    return { source: undefined, warnings: isEmpty ? [] : [says] }
  }
  const warnings: string[] = []
  const hosts = readHosts(section, warnings)
  const slotName = wordAt(section, 'primary_slot_name')
  const isSlot = slotName === undefined || SLOT_NAME.test(slotName)
  if (!isSlot) warnings.push(`primary_slot_name: ${JSON.stringify(slotName)} is no slot's name: left out`)
  const restoreCommand = wordAt(section, 'restore_command')
  if (hosts.length === 0 && restoreCommand === undefined)
    warnings.push('neither a host nor a restore_command: this cluster receives nothing')
  const source: StandbySource = {
    hosts,
    slotName: isSlot ? slotName : undefined,
    restoreCommand,
    archiveCleanupCommand: wordAt(section, 'archive_cleanup_command'),
    recoveryMinApplyDelay: wordAt(section, 'recovery_min_apply_delay'),
    replicaMethods: methodsAt(section['create_replica_methods']),
  }
  return { source, warnings }
}

/** One host or several between commas; as many ports, or one for all. */
function readHosts(section: JsonObject, warnings: string[]): readonly HostPort[] {
  const hosts = words(section['host'])
  const told = words(section['port'])
  const ports = told.map(Number)
  const isGood = ports.every(port => Number.isInteger(port) && port > 0 && port < 65_536)
  const fits = ports.length <= 1 || ports.length === hosts.length
  if (!isGood || !fits)
    warnings.push(`port: expected one for all hosts or one for each: ${DEFAULT_PORT} is used`)
  return hosts.map((host, index) => {
    const port = isGood && fits ? (ports[index] ?? ports[0]) : undefined
    return { host: host.replace(/^\[|\]$/g, ''), port: port ?? DEFAULT_PORT }
  })
}

function words(value: Json | undefined): readonly string[] {
  const list = Array.isArray(value) ? value.map(one => asText(one) ?? String(one)) : [textOf(value) ?? '']
  return list
    .flatMap(text => text.split(','))
    .map(word => word.trim())
    .filter(word => word !== '')
}

function wordAt(section: JsonObject, name: string): string | undefined {
  const text = textOf(section[name])?.trim()
  return text === '' ? undefined : text
}

function textOf(value: Json | undefined): string | undefined {
  return typeof value === 'number' || typeof value === 'bigint' ? String(value) : asText(value)
}

function methodsAt(value: Json | undefined): readonly string[] | undefined {
  const names = words(value)
  return names.length === 0 ? undefined : names
}
