// Options of initdb and pg_basebackup as the configuration lists them, turned into arguments. Pure.

import type { ToolOption } from '../config/agent/types.ts'

/** Names and values in the order given; a bare name has no value. */
export type OptionList = readonly { readonly name: string; readonly value: string | undefined }[]

/** What initdb gets from us alone, or what would leave a cluster that does not survive a power loss. */
export const INITDB_REFUSED = ['pgdata', 'nosync', 'no-sync', 'pwfile', 'sync-only', 'version', 'username']
/** What pg_basebackup gets from us alone. */
export const BASEBACKUP_REFUSED = [
  ...['pgdata', 'format', 'wal-method', 'gzip', 'version', 'dbname', 'host', 'port', 'username', 'password'],
  ...['no-password', 'no-sync'],
]
/** What pg_rewind gets from us alone. */
export const REWIND_REFUSED = [
  ...['target-pgdata', 'source-pgdata', 'source-server', 'write-recovery-conf', 'dry-run', 'config-file'],
  ...['restore-target-wal', 'no-ensure-shutdown', 'no-sync', 'progress', 'version', 'help'],
]
const CHECKSUMS_BY_DEFAULT_SINCE = 18
const SERVER_COMPRESSES_SINCE = 15
const LOCALE = /^(locale|no-locale|lc-.*|locale-provider|icu-.*|builtin-locale)$/

/** Reads `name`, `{name: value}` and maps of several; leading dashes and underscores do not matter. */
export function optionList(options: readonly ToolOption[]): OptionList {
  return options.flatMap((option): OptionList => {
    if (typeof option === 'string') return [{ name: cleanName(option), value: undefined }]
    return Object.entries(option).map(([name, value]) => ({ name: cleanName(name), value: String(value) }))
  })
}

/** The options without the refused ones, and the names of those. */
export function splitRefused(
  options: OptionList,
  refused: readonly string[],
): { readonly allowed: OptionList; readonly refused: readonly string[] } {
  return {
    allowed: options.filter(({ name }) => !refused.includes(name)),
    refused: options.filter(({ name }) => refused.includes(name)).map(({ name }) => name),
  }
}

/**
 * The options of pg_basebackup that this major can be given for a plain copy: compression on the server alone, which is
 * from 15 on; what is compressed here would have to be a tar file. Also says what is left out.
 */
export function plainCopyOptions(
  options: OptionList,
  major: number,
): { readonly allowed: OptionList; readonly refused: readonly string[] } {
  const isPossible = ({ name, value }: OptionList[number]) =>
    name !== 'compress' || (major >= SERVER_COMPRESSES_SINCE && value?.startsWith('server-') === true)
  const refused = options.filter(option => !isPossible(option)).map(({ name, value }) => `${name}: ${value}`)
  return { allowed: options.filter(isPossible), refused }
}

/** `--name` or `--name=value`; `true` means the bare name, `false` that the option is not given. */
export function optionArguments(options: OptionList): readonly string[] {
  return options.flatMap(({ name, value }) => {
    if (value === 'false') return []
    return [value === undefined || value === 'true' || value === '' ? `--${name}` : `--${name}=${value}`]
  })
}

/**
 * What we add where the configuration says nothing: checksums, and a locale that exists everywhere (in an empty
 * environment initdb would choose SQL_ASCII).
 */
export function initdbDefaults(options: OptionList): readonly string[] {
  const has = (pattern: RegExp) => options.some(({ name }) => pattern.test(name))
  const encoding = options.find(({ name }) => name === 'encoding')?.value
  const added: string[] = []
  if (!has(/^(no-)?data-checksums$/)) added.push('--data-checksums')
  if (has(LOCALE)) return added
  if (encoding === undefined) added.push('--encoding=UTF8')
  if (encoding === undefined || /^utf-?8$/i.test(encoding)) added.push('--locale=C.UTF-8')
  return added
}

/** What initdb of this major gets. Below 18 it knows no word for having no checksums: there that is what it does by itself. */
export function initdbArguments(options: OptionList, major: number): readonly string[] {
  const known = options.filter(
    ({ name }) => name !== 'no-data-checksums' || major >= CHECKSUMS_BY_DEFAULT_SINCE,
  )
  return [...optionArguments(known), ...initdbDefaults(options)]
}

function cleanName(name: string): string {
  return name.replace(/^-+/, '').replaceAll('_', '-')
}
