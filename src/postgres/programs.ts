// Finds the programs of the operator's that the configuration names.

import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { basename, delimiter, join, resolve } from 'node:path'

/** What does the same as a program of Patroni's own package, to be pasted; words in capitals are to be filled in. */
interface Equivalent {
  /** Where it is in the package: Debian 12 has 3.0. */
  readonly since?: string
  /** As the section of a replica method or of a bootstrap method. */
  readonly method?: string
  /** As a callback: behind the words come action, role and scope. */
  readonly callback?: string
}

const EQUIVALENTS: Readonly<Record<string, Equivalent>> = {
  patroni_barman: {
    since: '4.0',
    method: `{command: "sh -c 'ssh barman@HOST barman recover SERVER latest DATA_DIR'", no_params: true}`,
    callback: `sh -c 'test "$2" != primary || ssh barman@HOST barman config-switch SERVER MODEL' switch`,
  },
  patroni_wale_restore: { method: '{command: wal-g backup-fetch DATA_DIR LATEST, no_params: true}' },
  patroni_aws: {
    callback: `sh -c 'aws ec2 create-tags --resources INSTANCE_ID --tags Key=Role,Value="$2"' tag`,
  },
}

/** As a shell finds it; undefined when it is not there or may not be run. */
export async function findProgram(name: string): Promise<string | undefined> {
  const paths = name.includes('/')
    ? [resolve(name)]
    : (process.env['PATH'] ?? '').split(delimiter).map(directory => join(directory, name))
  for (const path of paths) {
    const isThere = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    )
    if (isThere) return path
  }
  return undefined
}

/** Why a program of a method cannot be run, and what to do about it. */
export function missingProgram(name: string, file: string): string {
  const equivalent = EQUIVALENTS[basename(name)]
  if (equivalent === undefined)
    return `the program ${name} is not there or may not be run: correct its command in ${file}`
  const { method, callback } = equivalent
  return `${ofPatroni(name, equivalent)}; in ${file} this does the same: ${method ?? callback}`
}

/** Why a callback's program cannot be run, if it is one of Patroni's package; undefined for others. */
export function missingCallback(name: string): string | undefined {
  const equivalent = EQUIVALENTS[basename(name)]
  if (equivalent === undefined) return undefined
  const { method, callback } = equivalent
  return `${ofPatroni(name, equivalent)}; this does the same: ${callback ?? method}`
}

function ofPatroni(name: string, { since }: Equivalent): string {
  const where = since === undefined ? 'the package patroni' : `the package patroni from ${since} on`
  return `the program ${name} is part of ${where}, which is not installed`
}
