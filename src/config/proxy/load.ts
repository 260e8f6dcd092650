// Reads the proxy's file. A wrong value or an unknown key is one line: file, line, key path, what was expected.

import { readFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import type { z } from 'zod'
import { isObject, type Json, type JsonObject } from '../../cluster/json.ts'
import { messageOf, UserError } from '../../platform/errors.ts'
import { type Places, printPlace } from '../agent/places.ts'
import { parseYamlMapping } from '../agent/yaml.ts'
import { type ListenerFile, listenerSchema, type ProxyFile, proxySchema } from './schema.ts'
import type { Bind, DiscoveryConfig, ListenerConfig, PoolKind, ProxyConfig } from './types.ts'
import { parseRestOrigin } from './values.ts'

interface ListenerDefault {
  readonly bind: Bind
  readonly pool: PoolKind
}

const STANDARD: Readonly<Record<string, ListenerDefault>> = {
  write: { bind: { host: undefined, port: 5000 }, pool: 'leader' },
  read: { bind: { host: undefined, port: 6000 }, pool: 'replica' },
}
const ADMIN_BIND: Bind = { host: undefined, port: 7000 }

/** Reads and checks a file. Throws UserError for what the operator must change, one line for each mistake. */
export async function loadProxyConfig(file: string): Promise<ProxyConfig> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new UserError(`${file}: cannot be read: ${messageOf(error)}`)
  })
  return parseProxyConfig(text, file)
}

/** Checks a text. `file` is the name that messages show. */
export function parseProxyConfig(text: string, file: string): ProxyConfig {
  const { value, places } = parseYaml(text, file)
  const result = proxySchema.safeParse(value)
  if (!result.success) {
    const lines = result.error.issues.flatMap(issue => mistakes(issue, value, places, file))
    throw new UserError(lines.join('\n'))
  }
  return build(result.data, file, message => new UserError(`${file}:1: ${message}`))
}

/** The configuration without a file: members are found through these REST servers, everything else is default. */
export function proxyConfigForPatroni(addresses: readonly string[]): ProxyConfig {
  const urls = addresses.map(address => {
    const origin = parseRestOrigin(address)
    if (origin === undefined) {
      throw new UserError(
        `--patroni ${address}: expected the address of a REST server, such as 10.0.0.1:8008`,
      )
    }
    return origin
  })
  const parsed = proxySchema.parse({ scope: 'unknown', patroni: urls })
  return { ...build(parsed, '--patroni', message => new UserError(message)), scope: undefined }
}

function parseYaml(text: string, file: string): ReturnType<typeof parseYamlMapping> {
  try {
    return parseYamlMapping(text, file)
  } catch (error) {
    const message = messageOf(error)
    if (!/alias/i.test(message)) throw error
    const before = text.slice(0, Math.max(0, text.search(/\*:\d/)))
    const at = `${file}:${before.split('\n').length}`
    throw new UserError(`${at}: a value that begins with * needs quotes, such as bind: '*:5000'`)
  }
}

function mistakes(
  issue: z.core.$ZodIssue,
  value: JsonObject,
  places: Places,
  file: string,
): readonly string[] {
  const path = issue.path.map(String)
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map(key => line([...path, key], 'unknown key', places, file))
  }
  const says = isAbsent(value, path) ? `is missing: ${issue.message}` : issue.message
  return [line(path, says, places, file)]
}

function isAbsent(value: Json | undefined, path: readonly string[]): boolean {
  const [key, ...rest] = path
  if (key === undefined) return value === undefined
  return !isObject(value) ? false : isAbsent(value[key], rest)
}

function line(path: readonly string[], says: string, places: Places, file: string): string {
  const place = places.find(path)
  const where = place === undefined ? `${file}:1` : printPlace(place)
  return `${where}: ${path.join('.')}: ${says}`
}

type Wrong = (message: string) => UserError

function build(parsed: ProxyFile, file: string, wrong: Wrong): ProxyConfig {
  const { scope, namespace, checks, log } = parsed
  const named: Readonly<Record<string, ListenerFile>> = parsed.listeners ?? {
    write: listenerSchema.parse({}),
    read: listenerSchema.parse({}),
  }
  const listeners = Object.entries(named).map(([name, listener]) => buildListener(name, listener, wrong))
  if (listeners.length === 0) throw wrong('listeners: expected at least one listener')
  return {
    file,
    name: parsed.name ?? hostname(),
    scope,
    namespace,
    discovery: buildDiscovery(parsed, wrong),
    listeners,
    admin: { bind: parsed.admin.bind ?? ADMIN_BIND },
    checks: {
      intervalMs: checks.interval,
      timeoutMs: checks.timeout,
      rise: checks.rise,
      fall: checks.fall,
      fastIntervalMs: checks.fast_interval,
    },
    log,
    eventsFile: parsed.events_file,
  }
}

function buildDiscovery({ etcd, patroni }: ProxyFile, wrong: Wrong): DiscoveryConfig {
  if (etcd !== undefined && patroni !== undefined) throw wrong('etcd and patroni: expected one of the two')
  if (etcd !== undefined) return { kind: 'etcd', etcd }
  if (patroni !== undefined) return { kind: 'patroni', urls: patroni }
  throw wrong('etcd: is missing: expected a mapping with hosts (or patroni: a list of addresses)')
}

function buildListener(name: string, listener: ListenerFile, wrong: Wrong): ListenerConfig {
  const standard = STANDARD[name]
  const bind = listener.bind ?? standard?.bind
  const pool = listener.pool ?? standard?.pool
  if (bind === undefined) throw wrong(`listeners.${name}.bind: is missing: expected an address with a port`)
  if (pool === undefined) throw wrong(`listeners.${name}.pool: is missing: expected leader or replica`)
  const {
    hold: holdMs,
    max_held: heldMax,
    then: afterHold,
    plain_errors: plainErrors,
  } = listener.on_no_backend
  return {
    name,
    bind,
    pool,
    fallback: listener.fallback,
    balance: listener.balance,
    connectionsMax: listener.max_connections,
    onNoBackend: { holdMs, heldMax, afterHold, plainErrors },
  }
}
