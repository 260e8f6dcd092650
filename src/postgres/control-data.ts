// The control file, as pg_controldata prints it. Read only when the server itself cannot be asked.

import { type Lsn, parseLsn } from '../cluster/lsn.ts'
import type { Deadline } from '../platform/deadline.ts'
import type { DataDirectory } from './data-directory.ts'
import type { ControlData } from './port.ts'

/** The control file with the settings that a standby must not undercut. */
export interface ControlFile extends ControlData {
  /** By parameter name: max_connections, max_wal_senders ... as the last primary had them. */
  readonly primarySettings: Readonly<Record<string, number>>
  readonly blockBytes: number
  readonly walSegmentBytes: bigint
}

/** A standby with a lower value than its primary had refuses to start. */
const STANDBY_MINIMA = [
  'max_connections',
  'max_worker_processes',
  'max_wal_senders',
  'max_prepared_xacts',
  'max_locks_per_xact',
] as const
const PARAMETER_NAMES: Readonly<Record<string, string>> = {
  max_prepared_xacts: 'max_prepared_transactions',
  max_locks_per_xact: 'max_locks_per_transaction',
}
/** Catalog versions begin with the year before the one in the release's number plus 2008: 2022 is 15. */
const YEAR_OF_MAJOR_ZERO = 2007

/** Reads pg_controldata's lines; undefined when the important ones are missing. */
export function parseControlData(text: string): ControlFile | undefined {
  const fields = new Map<string, string>()
  for (const line of text.split('\n')) {
    const colon = line.indexOf(':')
    if (colon > 0) fields.set(line.slice(0, colon).trim(), line.slice(colon + 1).trim())
  }
  const systemId = fields.get('Database system identifier')
  const state = fields.get('Database cluster state')
  const checkpointLsn = parseLsn(fields.get('Latest checkpoint location') ?? '')
  if (systemId === undefined || state === undefined || checkpointLsn === undefined) return undefined
  const number = (name: string) => Number(fields.get(name) ?? '0')
  return {
    systemId,
    state,
    timeline: number("Latest checkpoint's TimeLineID"),
    checkpointLsn,
    minRecoveryEndLsn: lsnOf(fields.get('Minimum recovery ending location')),
    minRecoveryEndTimeline: number("Min recovery ending loc's timeline"),
    hasChecksums: number('Data page checksum version') > 0,
    hasWalLogHints: fields.get('wal_log_hints setting') === 'on',
    majorVersion: Number((fields.get('Catalog version number') ?? '').slice(0, 4)) - YEAR_OF_MAJOR_ZERO,
    primarySettings: Object.fromEntries(
      STANDBY_MINIMA.map(name => [PARAMETER_NAMES[name] ?? name, number(`${name} setting`)]),
    ),
    blockBytes: number('WAL block size'),
    walSegmentBytes: BigInt(fields.get('Bytes per WAL segment') ?? '0'),
  }
}

function lsnOf(text: string | undefined): Lsn {
  return parseLsn(text ?? '') ?? 0n
}

/** Runs pg_controldata on its directory. Undefined when it fails or does not answer before the deadline. */
export async function readControlFile(
  directory: DataDirectory,
  pgControldata: string,
  by: Deadline,
): Promise<ControlFile | undefined> {
  const result = await directory.inspect(pgControldata, ['-D', directory.path], by)
  return result?.code === 0 ? parseControlData(result.stdout) : undefined
}
