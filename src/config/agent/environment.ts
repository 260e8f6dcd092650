// PATRONI_* variables as a second configuration that overrides the file, each with its place.

import type { Json, JsonObject } from '../../cluster/json.ts'
import { isObject } from '../../cluster/json.ts'
import { UserError } from '../../platform/errors.ts'
import { Places } from './places.ts'
import { readBoolean } from './units.ts'
import { parseYamlValue, type YamlText } from './yaml.ts'

type Kind = 'text' | 'format' | 'list' | 'map' | 'boolean' | 'number'
interface Variable {
  readonly path: readonly string[]
  readonly kind: Kind
}

const PREFIX = 'PATRONI_'

const text = (...names: string[]) => names.map(name => [name, 'text'] as const)
const list = (...names: string[]) => names.map(name => [name, 'list'] as const)
const map = (...names: string[]) => names.map(name => [name, 'map'] as const)
const boolean = (...names: string[]) => names.map(name => [name, 'boolean'] as const)
const number = (...names: string[]) => names.map(name => [name, 'number'] as const)

const CREDENTIALS = text(
  'username',
  'password',
  'sslmode',
  'sslcert',
  'sslkey',
  'sslpassword',
  'sslrootcert',
  'sslcrl',
  'sslcrldir',
  'sslnegotiation',
  'gssencmode',
  'channel_binding',
)
const TLS_FILES = text('certfile', 'keyfile', 'keyfile_password')
const STORE = [
  ...text('host', 'url', 'proxy', 'srv', 'srv_suffix', 'protocol', 'username', 'password'),
  ...text('cacert', 'cert', 'key', 'transport'),
  ...list('hosts'),
  ...boolean('use_proxies'),
]
const BINARIES = [
  'pg_ctl',
  'initdb',
  'pg_controldata',
  'pg_basebackup',
  'postgres',
  'pg_isready',
  'pg_rewind',
]

/** Name without the prefix -> where it goes. */
const variables: ReadonlyMap<string, Variable> = new Map([
  ...under([], '', text('name', 'namespace', 'scope')),
  ...under([], '', number('thread_pool_size')),
  ...under([], '', text('thread_stack_size')),
  ...under(['restapi'], 'RESTAPI', [
    ...text('listen', 'connect_address', 'cafile', 'ciphers', 'verify_client', 'server_tokens'),
    ...TLS_FILES,
    ...list('allowlist'),
    ...map('http_extra_headers', 'https_extra_headers'),
    ...boolean('allowlist_include_members'),
    ...number('request_queue_size', 'thread_pool_size'),
  ]),
  ...under(['restapi', 'authentication'], 'RESTAPI', text('username', 'password')),
  ...under(['ctl'], 'CTL', [...text('cacert'), ...TLS_FILES, ...boolean('insecure')]),
  ...under(['ctl', 'authentication'], 'CTL', text('username', 'password')),
  ...under(['postgresql'], 'POSTGRESQL', [
    ...text('listen', 'connect_address', 'proxy_address', 'data_dir', 'config_dir', 'bin_dir', 'pgpass'),
  ]),
  ...under(['postgresql', 'bin_name'], 'POSTGRESQL_BIN', text(...BINARIES)),
  ...under(['postgresql', 'authentication', 'superuser'], 'SUPERUSER', CREDENTIALS),
  ...under(['postgresql', 'authentication', 'replication'], 'REPLICATION', CREDENTIALS),
  ...under(['postgresql', 'authentication', 'rewind'], 'REWIND', CREDENTIALS),
  ...under(['citus'], 'CITUS', [...text('database'), ...number('group')]),
  ...under(['log'], 'LOG', [
    ...text('type', 'level', 'traceback_level', 'dateformat', 'dir', 'mode'),
    ['format', 'format'],
    ...map('static_fields', 'loggers'),
    ...boolean('deduplicate_heartbeat_logs'),
    ...number('max_queue_size', 'file_num', 'file_size'),
  ]),
  ...under(['etcd'], 'ETCD', STORE),
  ...under(['etcd3'], 'ETCD3', STORE),
  ['LOGLEVEL', { path: ['log', 'level'], kind: 'text' }],
  ['LOGFORMAT', { path: ['log', 'format'], kind: 'format' }],
  ['LOG_DATEFMT', { path: ['log', 'dateformat'], kind: 'text' }],
])

function under(
  section: readonly string[],
  prefix: string,
  keys: readonly (readonly [string, Kind])[],
): [string, Variable][] {
  return keys.map(([key, kind]) => {
    const name = section.length === 0 ? key.toUpperCase() : `${prefix}_${key.toUpperCase()}`
    return [name, { path: [...section, key], kind }]
  })
}

const OTHER_STORES = /^(CONSUL|ZOOKEEPER|EXHIBITOR|KUBERNETES|RAFT)_/

/** The settings that `env` gives; empty variables count as absent. Throws UserError for an unreadable list or map. */
export function readEnvironment(env: Readonly<NodeJS.ProcessEnv>): YamlText {
  const places = new Places()
  let value: JsonObject = {}
  for (const [name, content] of Object.entries(env)) {
    if (!name.startsWith(PREFIX) || content === undefined || content.trim() === '') continue
    const found = findVariable(name.slice(PREFIX.length))
    if (found === undefined) continue
    places.set(found.path, { file: 'environment', line: undefined, variable: name })
    value = setAt(value, found.path, convert(name, content, found.kind))
  }
  return { value, places }
}

function findVariable(name: string): Variable | undefined {
  const store = OTHER_STORES.exec(name)?.[1]
  if (store !== undefined)
    return { path: [store.toLowerCase(), name.slice(store.length + 1).toLowerCase()], kind: 'text' }
  return variables.get(name)
}

/** Takes every PATRONI_* variable out of `env`, so that servers and scripts started later never see them. */
export function removeVariables(env: NodeJS.ProcessEnv): void {
  for (const name of Object.keys(env)) {
    if (name.startsWith(PREFIX)) delete env[name]
  }
}

function convert(name: string, content: string, kind: Kind): Json {
  const trimmed = content.trim()
  if (kind === 'text') return content
  // A text names something for Python's logging; what names nothing is the list of fields that type json takes.
  if (kind === 'format') return /%\(\w+\)/.test(content) ? content : (readList(trimmed) ?? content)
  if (kind === 'boolean') return readBoolean(trimmed) ?? content
  if (kind === 'number') return parseYamlValue(trimmed) ?? content
  const value = kind === 'list' ? readList(trimmed) : readMap(trimmed)
  if (value === undefined) throw new UserError(`environment variable ${name}: expected a ${kind} in YAML`)
  return value
}

/** A YAML list, or bare words between commas. */
function readList(content: string): Json | undefined {
  const isYaml = content.startsWith('-') || content.startsWith('[')
  const value = parseYamlValue(isYaml ? content : `[${content}]`)
  return Array.isArray(value) ? value : undefined
}

/** A YAML map, or bare `key: value` pairs between commas. */
function readMap(content: string): Json | undefined {
  const value = parseYamlValue(content.startsWith('{') || content.includes('\n') ? content : `{${content}}`)
  return isObject(value) ? value : undefined
}

function setAt(target: JsonObject, path: readonly string[], value: Json): JsonObject {
  const [key, ...rest] = path
  if (key === undefined) return target
  if (rest.length === 0) return { ...target, [key]: value }
  const inner = target[key]
  return { ...target, [key]: setAt(isObject(inner) ? inner : {}, rest, value) }
}
