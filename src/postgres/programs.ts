// Finds the programs of the operator's that the configuration names.

import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { delimiter, join, resolve } from 'node:path'

/** Programs of Patroni's own package that people's files name, with what does the same without it. */
const EQUIVALENTS: Readonly<Record<string, string>> = {
  patroni_barman: "command: sh -c 'ssh barman@HOST barman recover SERVER latest DATA_DIR', no_params: true",
  patroni_wale_restore: 'command: wal-g backup-fetch DATA_DIR LATEST, no_params: true',
  patroni_aws: 'a script of your own that tags the volume',
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

/** Why a program cannot be run, and what to do about it. */
export function missingProgram(name: string, file: string): string {
  const equivalent = EQUIVALENTS[name]
  return equivalent === undefined
    ? `the program ${name} is not there or may not be run: correct its command in ${file}`
    : `the program ${name} is part of the package patroni, which is not installed; in ${file} this does the same: ${equivalent}`
}
