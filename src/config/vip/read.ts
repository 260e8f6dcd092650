// Reads a mapping of virtual IPs, name by name. A wrong value ends with file, line, key path and what was expected.

import { isObject } from '../../cluster/json.ts'
import type { Section } from '../agent/section.ts'
import { nearestName } from '../haproxy/nearest.ts'
import { parseDurationMs } from '../proxy/values.ts'
import { parseVipAddress } from './address.ts'
import type { CommandVipConfig, VipAddressConfig, VipConfig, VipFollow } from './types.ts'

const DRIVERS = ['etcd', 'command', 'none'] as const
const TTL_SECONDS = 5
const STALL_MS = 1_000
const PRIORITY = 100
const COMMAND_MS = 10_000
/** What Linux takes for the name of an interface, its end included. */
const INTERFACE_BYTES_MAX = 15

const keys = new Set([
  ...['driver', 'addresses', 'interface', 'label', 'follow', 'priority', 'ttl', 'preempt_after', 'stall'],
  ...['member', 'add', 'del', 'check', 'callback', 'callback_roles', 'timeout'],
])
const commandKeys = ['add', 'del', 'check', 'callback', 'callback_roles', 'timeout']

/** Who reads: what a virtual IP may follow there, and what it follows when nothing is said. */
export interface VipReader {
  readonly follows: readonly [VipFollow, ...VipFollow[]]
  /** Whether the process speaks to etcd. */
  readonly hasEtcd: boolean
}

/** The virtual IPs below `section`; none for an empty mapping. */
export function readVips(section: Section, reader: VipReader): readonly VipConfig[] {
  const vips = Object.keys(section.values).map(name => {
    if (!/^[A-Za-z0-9_.-]{1,60}$/.test(name))
      throw section.wrong(name, 'a name of letters, digits, dots, dashes and underscores')
    if (!isObject(section.values[name])) throw section.wrong(name, 'a mapping of settings')
    return readVip(name, section.section(name), reader)
  })
  const seen = new Map<string, string>()
  for (const { name, addresses } of vips) {
    for (const { address } of addresses) {
      const other = seen.get(address)
      if (other !== undefined) throw section.wrong(name, `${address} only once, but ${other} has it too`)
      seen.set(address, name)
    }
  }
  return vips
}

function readVip(name: string, section: Section, reader: VipReader): VipConfig {
  for (const key of Object.keys(section.values)) {
    if (keys.has(key)) continue
    const near = nearestName(key, [...keys])
    section.warn(key, near === undefined ? 'unknown key' : `unknown key; did you mean ${near}?`)
  }
  const driver = oneOf(section, 'driver', DRIVERS) ?? 'etcd'
  if (driver !== 'command') refuseCommands(section)
  if (driver !== 'none' && !reader.hasEtcd)
    throw section.wrong('driver', `etcd to be configured: driver ${driver} elects the owner in it`)
  const common = {
    name,
    follow: oneOf(section, 'follow', reader.follows) ?? reader.follows[0],
    member: section.text('member'),
    priority: whole(section, 'priority', 1, 254) ?? PRIORITY,
    addresses: readAddresses(section, driver === 'etcd'),
    stallMs: duration(section, 'stall', 200, 60_000) ?? STALL_MS,
  }
  if (driver === 'none') return { ...common, driver }
  const elected = {
    ...common,
    ttlSeconds: whole(section, 'ttl', 2, 300) ?? TTL_SECONDS,
    preemptAfterMs:
      section.text('preempt_after') === 'never'
        ? undefined
        : duration(section, 'preempt_after', 0, 86_400_000),
  }
  if (elected.stallMs >= elected.ttlSeconds * 900)
    throw section.wrong('stall', `less than nine tenths of ttl (${elected.ttlSeconds} s)`)
  if (driver === 'etcd') return { ...elected, driver }
  return {
    ...elected,
    driver,
    commands: readCommands(section),
    callbackRole: oneOf(section, 'callback_roles', ['primary', 'master']) ?? 'primary',
    timeoutMs: duration(section, 'timeout', 100, 600_000) ?? COMMAND_MS,
  }
}

function readAddresses(section: Section, isOnInterface: boolean): readonly VipAddressConfig[] {
  const value = section.values['addresses']
  const texts = typeof value === 'string' ? [value] : section.lines('addresses')
  if (texts === undefined || texts.length === 0)
    throw section.wrong('addresses', 'a list of addresses, such as [10.0.0.9, 10.0.0.10/24]')
  const interfaceName = section.text('interface')
  if (isOnInterface && interfaceName === undefined)
    throw section.wrong('interface', 'the name of an interface, such as eth0')
  if (
    interfaceName !== undefined &&
    (interfaceName.length > INTERFACE_BYTES_MAX || /[\s/]/.test(interfaceName))
  )
    throw section.wrong('interface', 'the name of an interface, such as eth0')
  const label = readLabel(section, interfaceName)
  return texts.map(text => {
    const parsed = parseVipAddress(text)
    if (parsed === undefined)
      throw section.wrong(
        'addresses',
        `addresses such as 10.0.0.9 or fd00::9/64, not ${JSON.stringify(text)}`,
      )
    return { ...parsed, interfaceName: interfaceName ?? '', label: parsed.family === 4 ? label : undefined }
  })
}

function readLabel(section: Section, interfaceName: string | undefined): string | undefined {
  const label = section.text('label')
  if (label === undefined || (label.length <= INTERFACE_BYTES_MAX && label.startsWith(`${interfaceName}`)))
    return label
  throw section.wrong('label', `at most ${INTERFACE_BYTES_MAX} characters that begin with ${interfaceName}`)
}

function readCommands(section: Section): CommandVipConfig['commands'] {
  const [add, del, check, callback] = ['add', 'del', 'check', 'callback'].map(key => readWords(section, key))
  if (callback === undefined && (add === undefined || del === undefined))
    throw section.wrong('add', 'commands add and del, or a callback')
  if (callback !== undefined && (add !== undefined || del !== undefined))
    throw section.wrong('callback', 'either a callback or commands add and del')
  return { add, del, check, callback }
}

/** Words of a command: a list, or text that is split at blanks. No shell comes between. */
function readWords(section: Section, key: string): readonly string[] | undefined {
  const value = section.values[key]
  if (!section.has(key)) return undefined
  const words = typeof value === 'string' ? value.trim().split(/\s+/) : section.lines(key)
  if (words === undefined || words[0] === undefined || words[0] === '') throw section.wrong(key, 'a command')
  if (!words[0].startsWith('/')) throw section.wrong(key, 'a command that begins with an absolute path')
  return words
}

function refuseCommands(section: Section): void {
  for (const key of commandKeys) {
    if (section.has(key)) throw section.wrong(key, 'nothing here: it belongs to driver command')
  }
}

function oneOf<const T extends string>(section: Section, key: string, words: readonly T[]): T | undefined {
  const text = section.text(key)
  if (text === undefined) return undefined
  const found = words.find(word => word === text)
  if (found === undefined) throw section.wrong(key, words.join(' or '))
  return found
}

function whole(section: Section, key: string, from: number, to: number): number | undefined {
  const value = section.integer(key)
  if (value !== undefined && (value < from || value > to))
    throw section.wrong(key, `a whole number from ${from} to ${to}`)
  return value
}

function duration(section: Section, key: string, fromMs: number, toMs: number): number | undefined {
  const text = section.text(key)
  if (text === undefined) return undefined
  const ms = parseDurationMs(text)
  if (ms === undefined || ms < fromMs || ms > toMs)
    throw section.wrong(key, `a duration from ${fromMs}ms to ${toMs}ms, such as 500ms or 10s`)
  return ms
}
