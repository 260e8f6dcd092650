// Reads a keepalived.conf. Throws UserError for what cannot be used: one line a mistake, with file, line and column.

import { readFile } from 'node:fs/promises'
import { messageOf, UserError } from '../../platform/errors.ts'
import { buildKeepalived } from './build.ts'
import { isKeepalivedText, readKeepalived } from './read.ts'
import type { Remark } from './tokens.ts'
import type { KeepalivedConfig } from './types.ts'

export interface KeepalivedOptions {
  /** Does what is not known become a warning? */
  readonly lenient: boolean
  /** Processes that this one stands for: `haproxy` for a proxy, `patroni` for an agent. */
  readonly selfNames: readonly string[]
}

export interface KeepalivedFile {
  readonly config: KeepalivedConfig
  readonly remarks: readonly Remark[]
}

/** Reads a file. Throws UserError when it cannot be read or used. */
export async function loadKeepalived(file: string, options: KeepalivedOptions): Promise<KeepalivedFile> {
  return parseKeepalived(await readText(file), file, options)
}

/** Does this file look like a keepalived.conf? Throws UserError when it cannot be read. */
export async function isKeepalivedFile(file: string): Promise<boolean> {
  return isKeepalivedText(await readText(file))
}

function readText(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((error: unknown) => {
    throw new UserError(`${file}: cannot be read: ${messageOf(error)}`)
  })
}

/** Checks a text. `file` is the name that messages show. */
export function parseKeepalived(text: string, file: string, options: KeepalivedOptions): KeepalivedFile {
  const { draft, remarks } = readKeepalived(text)
  const built = buildKeepalived(draft, { file, selfNames: options.selfNames })
  const all = [...remarks, ...built.remarks].sort((a, b) => a.line - b.line || a.column - b.column)
  const isStop = ({ severity }: Remark) =>
    severity === 'error' || (severity === 'unknown' && !options.lenient)
  const stops = all.filter(isStop)
  if (stops.length > 0) throw new UserError(stops.map(remark => printStop(file, remark)).join('\n'))
  return { config: built.config, remarks: all }
}

function printStop(file: string, remark: Remark): string {
  const hint = remark.severity === 'unknown' ? ' (--lenient goes on without it)' : ''
  return `${printRemark(file, remark)}${hint}`
}

/** `keepalived.conf:12:5: advert_itn: unknown in vrrp_instance; did you mean advert_int?` */
export function printRemark(file: string, { line, column, about, says, severity }: Remark): string {
  return `${file}:${line}:${column}: ${severity === 'trap' ? 'trap: ' : ''}${about}: ${says}`
}
