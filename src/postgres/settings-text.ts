// The texts that PostgreSQL reads: configuration files, connection strings, password files. Pure: no file is touched.

import type { HostPort } from '../cluster/member.ts'
import type { Credentials } from '../config/agent/types.ts'

/** Where a standby streams from, as the server's two parameters say it. Both empty: from nobody. */
export interface RecoverySource {
  readonly primaryConninfo: string
  readonly primarySlotName: string
}

export const NO_SOURCE: RecoverySource = { primaryConninfo: '', primarySlotName: '' }

/** Set by us alone; anybody else's value for them in a parameter list is left out. */
const OURS = /^(primary_conninfo|primary_slot_name|standby_mode|recovery_target.*)$/
/** What must not stay in postgresql.auto.conf: it would win over our own file. */
const RECOVERY_PARAMETER =
  /^\s*'?(primary_conninfo|primary_slot_name|recovery_target\w*|promote_trigger_file|restore_command|archive_cleanup_command|recovery_end_command|recovery_min_apply_delay)\b/i

const SYNCHRONOUS_PARAMETER = /^\s*'?synchronous_standby_names\b/i

export const CONFIG_HEADER =
  '# Written by pgherd: changes here are lost. Change the cluster configuration, or postgresql.base.conf.\n'

/** A value as postgresql.conf wants it: in single quotes, quotes and backslashes doubled. */
export function quoteSetting(value: string): string {
  return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "''").replaceAll('\n', ' ')}'`
}

/** A value as libpq's connection strings want it. */
export function quoteConninfo(value: string): string {
  if (/^[A-Za-z0-9_.:/*-]+$/.test(value)) return value
  return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}

/** `name=value` words in the order given; words without a value are left out. */
export function conninfo(words: Readonly<Record<string, string | undefined>>): string {
  return Object.entries(words)
    .flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${quoteConninfo(value)}`]))
    .join(' ')
}

/** The words that not every libpq knows, each with the first version that does. One that it does not know it refuses. */
const WORDS_SINCE: Readonly<Record<string, number>> = {
  gssencmode: 12,
  tcp_user_timeout: 12,
  channel_binding: 13,
  sslpassword: 13,
  sslcrldir: 14,
  sslnegotiation: 17,
}

/** Does the libpq that came with this major know the word? An unknown major is taken for a new one. */
export function isWordOf(major: number | undefined, word: string): boolean {
  return major === undefined || major >= (WORDS_SINCE[word] ?? 0)
}

/**
 * A host that vanishes says nothing, and a tool that only reads would wait for it for two hours, as the kernel's keepalive does.
 * A minute, as a standby's receiver has (wal_receiver_timeout); tcp_user_timeout also cuts off what was sent and is not confirmed.
 */
const PATIENCE: Readonly<Record<string, string>> = {
  connect_timeout: '30',
  keepalives_idle: '30',
  keepalives_interval: '10',
  keepalives_count: '3',
  tcp_user_timeout: '60000',
}

/**
 * The words with which a tool or a standby of this major reaches a server as `who`; those that it does not know are left out.
 * The password stays in the password file.
 */
export function connectionWords(
  address: HostPort,
  who: Credentials,
  passfile: string,
  major?: number,
): Readonly<Record<string, string>> {
  const words = {
    host: address.host,
    port: String(address.port),
    user: who.username,
    passfile,
    sslmode: 'prefer',
    gssencmode: 'prefer',
    channel_binding: 'prefer',
    ...PATIENCE,
    ...who.options,
  }
  return Object.fromEntries(Object.entries(words).filter(([word]) => isWordOf(major, word)))
}

/** The whole postgresql.conf: the base file first, then what we were told, then where a standby streams from. */
export function postgresqlConf(
  baseFile: string,
  parameters: Readonly<Record<string, string>>,
  recovery: Readonly<Record<string, string>>,
): string {
  const own = Object.entries(parameters).filter(([name]) => !OURS.test(name))
  return [
    `${CONFIG_HEADER}include ${quoteSetting(baseFile)}\n`,
    settingLines(own),
    settingLines(Object.entries(recovery)),
  ].join('\n')
}

export function settingLines(entries: readonly (readonly [string, string])[]): string {
  return entries.map(([name, value]) => `${name} = ${quoteSetting(value)}\n`).join('')
}

/** The recovery part of a standby's settings. Targets are left out: a standby follows to the end. */
export function standbySettings(
  source: RecoverySource,
  wishes: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const kept = Object.entries(wishes).filter(([name]) => !OURS.test(name))
  return {
    ...Object.fromEntries(kept),
    recovery_target_timeline: 'latest',
    primary_conninfo: source.primaryConninfo,
    primary_slot_name: source.primarySlotName,
  }
}

/** recovery.conf of servers below 12: the same settings in a file of their own. */
export function recoveryConf(settings: Readonly<Record<string, string>>, isStandby = true): string {
  const filled = Object.entries(settings).filter(([, value]) => value !== '')
  return `${CONFIG_HEADER}${settingLines([...(isStandby ? [['standby_mode', 'on'] as const] : []), ...filled])}`
}

/**
 * postgresql.auto.conf without recovery parameters and, with `ownsSynchronous`, without the names of synchronous
 * standbys; undefined when there are none in it.
 */
export function withoutOurParameters(autoConf: string, ownsSynchronous = false): string | undefined {
  const lines = autoConf.split('\n')
  const isOurs = (line: string) =>
    RECOVERY_PARAMETER.test(line) || (ownsSynchronous && SYNCHRONOUS_PARAMETER.test(line))
  const kept = lines.filter(line => !isOurs(line))
  return kept.length === lines.length ? undefined : kept.join('\n')
}

/** pg_hba.conf or pg_ident.conf. */
export function linesFile(lines: readonly string[]): string {
  return `${CONFIG_HEADER}${lines.map(line => `${line}\n`).join('')}`
}

/**
 * A password file for every host: the same roles and passwords hold in the whole cluster, so it need not change with the
 * leader. Roles without a password are left out; the first line of a user counts.
 */
export function passwordFile(users: readonly Pick<Credentials, 'username' | 'password'>[]): string {
  const field = (text: string) => text.replaceAll('\\', '\\\\').replaceAll(':', '\\:')
  return users
    .flatMap(({ username, password }) =>
      password === undefined ? [] : [`*:*:*:${field(username)}:${field(password)}\n`],
    )
    .join('')
}
