// The postgresql and bootstrap sections of one node's file.

import type { JsonObject } from '../../cluster/json.ts'
import { controlledNames, controlledValues } from './controlled.ts'
import { dynamicWarnings } from './dynamic.ts'
import { bootstrapKeys, credentialKeys, dcsKeys, inert, patienceKeys, postgresKeys } from './known.ts'
import { methodNames, readBootstrapMethod } from './methods.ts'
import type { Section } from './section.ts'
import { optionName, toolOptions } from './tool-options.ts'
import type { BootstrapConfig, Credentials, LocalPostgres, ToolOption } from './types.ts'

const SERVER_PORT = 5432
/** Which of the wal_keep settings is written depends on it, not what is accepted. */
const MAJOR_VERSION = 15
const REFUSED_INITDB = new Set(['pgdata', 'nosync', 'pwfile', 'sync-only', 'version'])
const REFUSED_BASEBACKUP = new Set([
  ...['pgdata', 'format', 'wal-method', 'xlog-method', 'gzip', 'version', 'dbname', 'host', 'port'],
  ...['username', 'password'],
])
const ACCOUNTS = ['superuser', 'replication', 'pg_rewind'] as const

/** Reads `postgresql`. `systemUser` is whose name libpq would use when the superuser is not named. */
export function readPostgres(top: Section, systemUser: string | undefined): LocalPostgres {
  const section = top.section('postgresql')
  section.warnUnknown(new Set([...postgresKeys, ...methodNames(key => section.values[key])]))
  warnInert(section, 'postgresql')
  warnControlled(section)
  const listen = readListen(section)
  const connectAddress = section.hostPort('connect_address', listen.port, 'host:port that others reach')
  if (connectAddress === undefined || connectAddress.host === '') {
    throw section.wrong('connect_address', 'host:port that others reach')
  }
  const accounts = section.section('authentication')
  const superuser = readCredentials(accountSection(section, accounts, 'superuser'), systemUser)
  return {
    ...listen,
    connectAddress,
    dataDir: section.requiredText('data_dir', "the path of the server's data directory"),
    binDir: section.text('bin_dir'),
    database: section.text('database') ?? 'postgres',
    pgpass: section.text('pgpass'),
    superuser,
    replication: readCredentials(accountSection(section, accounts, 'replication'), undefined),
    rewind: hasAccount(section, accounts, 'rewind')
      ? readCredentials(accountSection(section, accounts, 'rewind'), undefined)
      : superuser,
    basebackup: readToolOptions(section, 'basebackup', REFUSED_BASEBACKUP),
    rewindOptions: readToolOptions(section, 'rewind', new Set()),
    raw: withoutSecrets(section.values),
  }
}

/** Reads `bootstrap`. Only the node that creates the cluster uses it. */
export function readBootstrap(top: Section): BootstrapConfig {
  const section = top.section('bootstrap')
  const name = section.text('method') ?? 'initdb'
  section.warnUnknown(new Set([...bootstrapKeys, name]))
  if (section.has('users')) section.warn('users', 'creates no users: use post_bootstrap')
  const dcs = section.section('dcs')
  dcs.warnUnknown(dcsKeys)
  warnDynamic(dcs)
  return {
    ...(name === 'initdb' ? {} : { method: readBootstrapMethod(section, name) }),
    dcs: dcs.values,
    initdb: readToolOptions(section, 'initdb', REFUSED_INITDB),
    pgHba: section.lines('pg_hba') ?? [],
    postBootstrap: section.text('post_bootstrap') ?? section.text('post_init'),
  }
}

/** What every member would say of these values, here with their lines. */
function warnDynamic(dcs: Section): void {
  for (const { key, says } of dynamicWarnings(dcs.values)) dcs.warn(key, says)
  const parameters = dcs.section('postgresql').section('parameters')
  for (const { name, says } of controlledValues(parameters.values, MAJOR_VERSION).warnings) {
    parameters.warn(name, says)
  }
}

/** One warning for each setting that is known but has no effect in this version. */
export function warnInert(section: Section, path: string): void {
  for (const key of inert[path] ?? []) {
    if (section.has(key)) section.warn(key, 'is accepted, but this version does not act on it')
  }
}

function warnControlled(section: Section): void {
  const parameters = section.section('parameters')
  for (const name of Object.keys(parameters.values)) {
    if (!controlledNames.has(name)) continue
    parameters.warn(name, "has no effect here: it is decided by the cluster's configuration")
  }
}

/** `host[,host...][:port]`; `*` and an empty host mean all addresses. */
function readListen(section: Section): { readonly listenAddresses: string; readonly port: number } {
  const expected = 'host[,host...]:port'
  section.requiredText('listen', expected)
  const address = section.hostPort('listen', SERVER_PORT, expected)
  if (address === undefined) throw section.wrong('listen', expected)
  const hosts = address.host.split(',').map(host => host.replace(/^\[|\]$/g, ''))
  return { listenAddresses: hosts.join(',') === '' ? '*' : hosts.join(','), port: address.port }
}

type Account = 'superuser' | 'replication' | 'rewind'

/** Before `authentication` existed, the accounts stood directly under `postgresql`. */
function accountSection(section: Section, accounts: Section, name: Account): Section {
  const old = name === 'rewind' ? 'pg_rewind' : name
  return !accounts.has(name) && section.has(old) ? section.section(old) : accounts.section(name)
}

function hasAccount(section: Section, accounts: Section, name: Account): boolean {
  return accounts.has(name) || section.has(name === 'rewind' ? 'pg_rewind' : name)
}

function readCredentials(section: Section, defaultUser: string | undefined): Credentials {
  section.warnUnknown(credentialKeys)
  const options: Record<string, string> = {}
  for (const key of credentialKeys) {
    const value = key === 'username' || key === 'password' ? undefined : section.text(key)
    if (patienceKeys.has(key)) section.integer(key)
    if (value !== undefined) options[key] = value
  }
  if (options['gssencmode'] === 'require')
    section.warn('gssencmode', 'holds for standbys and tools: our own connections know no GSSAPI encryption')
  const username = section.has('username') ? section.requiredText('username', 'a role name') : defaultUser
  if (username === undefined) throw section.wrong('username', 'a role name')
  return { username, password: section.text('password'), options }
}

/** A list of names and single pairs, or a mapping. Names that would break the tool's run are left out with a warning. */
function readToolOptions(section: Section, key: string, refused: ReadonlySet<string>): readonly ToolOption[] {
  const value = section.values[key]
  if (value === undefined || value === null) return []
  const entries = toolOptions(value)
  if (entries === undefined) throw section.wrong(key, 'a list or mapping of options')
  const options: ToolOption[] = []
  for (const option of entries) {
    if (option === undefined) throw section.wrong(key, 'options as `name` or `name: value`')
    const name = optionName(option)
    if (refused.has(name)) section.warn(key, `leaves out --${name}: it is set by the agent itself`)
    else options.push(option)
  }
  return options
}

function withoutSecrets(values: JsonObject): JsonObject {
  const hidden = new Set<string>(['authentication', ...ACCOUNTS])
  return Object.fromEntries(Object.entries(values).filter(([key]) => !hidden.has(key)))
}
