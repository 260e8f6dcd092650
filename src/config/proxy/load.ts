// Reads the proxy's file. A wrong value or an unknown key is one line: file, line, key path, what was expected.

import { readFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import type { z } from 'zod'
import { isObject, type Json, type JsonObject } from '../../cluster/json.ts'
import { messageOf, UserError } from '../../platform/errors.ts'
import { readEtcdSection } from '../agent/etcd.ts'
import { etcdKeys } from '../agent/known.ts'
import { type Places, printPlace } from '../agent/places.ts'
import { type Reading, Section } from '../agent/section.ts'
import type { EtcdConfig } from '../agent/types.ts'
import { parseYamlMapping } from '../agent/yaml.ts'
import { readVips } from '../vip/read.ts'
import type { VipConfig } from '../vip/types.ts'
import { unknownAmong, unknownKey } from './known-keys.ts'
import { buildListener, nameServersApart } from './listener.ts'
import { type ListenerFile, listenerSchema, type ProxyFile, proxySchema } from './schema.ts'
import type { Bind, CheckConfig, DiscoveryConfig, ListenerConfig, ProxyConfig } from './types.ts'
import { parseRestOrigin } from './values.ts'

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
  const wrong: Wrong = message => new UserError(`${file}:1: ${message}`)
  const reading = () => ({ file, places, warnings: [] })
  const config = build(result.data, file, wrong, raw => readEtcdStrictly(raw, reading()))
  const hasEtcd = config.discovery.kind === 'etcd'
  return { ...config, vips: readVipsStrictly((result.data.vip ?? {}) as JsonObject, hasEtcd, reading()) }
}

function readVipsStrictly(raw: JsonObject, hasEtcd: boolean, reading: Reading): readonly VipConfig[] {
  const vips = readVips(new Section(raw, ['vip'], reading), {
    follows: ['proxy', 'leader', 'replica'],
    hasEtcd,
  })
  refuseWarnings(reading)
  return vips
}

/** The agent's rules, and as everywhere in this file what has no effect is a mistake. */
function readEtcdStrictly(raw: JsonObject, reading: Reading): EtcdConfig {
  const section = new Section(raw, ['etcd'], reading)
  for (const key of Object.keys(raw)) if (!etcdKeys.has(key)) section.warn(key, unknownAmong(etcdKeys, key))
  refuseWarnings(reading)
  const etcd = readEtcdSection(section)
  refuseWarnings(reading)
  return etcd
}

function refuseWarnings({ warnings }: Reading): void {
  if (warnings.length === 0) return
  const lines = warnings.map(({ file, line, keyPath, says }) => `${file}:${line ?? 1}: ${keyPath}: ${says}`)
  throw new UserError(lines.join('\n'))
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
  const wrong: Wrong = message => new UserError(message)
  const noEtcd = () => {
    throw wrong('--patroni stands in place of etcd')
  }
  return { ...build(parsed, '--patroni', wrong, noEtcd), scope: undefined }
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
    return issue.keys.map(key => line([...path, key], unknownKey(proxySchema, path, key), places, file))
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

type ReadEtcd = (raw: JsonObject) => EtcdConfig

function build(parsed: ProxyFile, file: string, wrong: Wrong, readEtcd: ReadEtcd): ProxyConfig {
  const { scope, namespace, log } = parsed
  const named: Readonly<Record<string, ListenerFile>> = parsed.listeners ?? {
    write: listenerSchema.parse({}),
    read: listenerSchema.parse({}),
  }
  const built = Object.entries(named).map(([name, listener]) => buildListener(name, listener, wrong))
  if (built.length === 0) throw wrong('listeners: expected at least one listener')
  const discovery = buildDiscovery(parsed, built, wrong, readEtcd)
  const listeners = nameServersApart(built, discovery.kind !== 'static')
  return {
    file,
    compat: 'native',
    name: parsed.name ?? hostname(),
    scope,
    namespace,
    discovery,
    onDcsLoss: parsed.on_dcs_loss,
    listeners,
    connectionsMax: undefined,
    admin: { binds: [parsed.admin.bind ?? ADMIN_BIND] },
    checks: buildChecks(parsed),
    relay: parsed.relay,
    threads: parsed.threads,
    log,
    eventsFile: parsed.events_file,
    vips: [],
  }
}

function buildChecks({ checks }: ProxyFile): CheckConfig {
  return {
    intervalMs: checks.interval,
    timeoutMs: checks.timeout,
    rise: checks.rise,
    fall: checks.fall,
    fastIntervalMs: checks.fast_interval,
    downIntervalMs: checks.down_interval ?? checks.interval,
    pingUser: checks.ping_user === false ? undefined : checks.ping_user,
    tls: {
      verify: checks.verify,
      caFile: checks.cacert,
      certFile: checks.cert,
      // One file may hold both.
      keyFile: checks.key ?? checks.cert,
    },
  }
}

function buildDiscovery(
  { etcd, patroni }: ProxyFile,
  listeners: readonly ListenerConfig[],
  wrong: Wrong,
  readEtcd: ReadEtcd,
): DiscoveryConfig {
  if (etcd !== undefined && patroni !== undefined) throw wrong('etcd and patroni: expected one of the two')
  if (etcd !== undefined) return { kind: 'etcd', etcd: readEtcd(etcd as JsonObject) }
  if (patroni !== undefined) return { kind: 'patroni', urls: patroni }
  if (listeners.every(({ pool }) => pool === 'servers')) return { kind: 'static', leaderListener: undefined }
  throw wrong('etcd: is missing: expected a mapping with hosts (or patroni: a list of addresses)')
}
