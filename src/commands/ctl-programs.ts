// The editor and the pager that `edit-config` starts.

import { spawn } from 'node:child_process'
import { access, constants } from 'node:fs/promises'
import { join } from 'node:path'
import type { Programs } from '../ctl/edit-config.ts'
import { UserError } from '../platform/errors.ts'

/** The real ones: EDITOR, else editor or vi; PAGER, else less or more. */
export const programs: Programs = {
  run: (command, args, input) =>
    new Promise((resolve, reject) => {
      const stdin = input === undefined ? 'inherit' : 'pipe'
      // EDITOR may be a command with words of its own; the file is the last.
      const child = spawn('/bin/sh', ['-c', `${command} "$@"`, command, ...args], {
        stdio: [stdin, 'inherit', 'inherit'],
      })
      child.on('error', reject)
      child.on('exit', code => resolve(code ?? 1))
      child.stdin?.on('error', () => {})
      child.stdin?.end(input)
    }),
  editor: async () =>
    nonEmpty(process.env['EDITOR']) ??
    (await firstOf(['editor', 'vi'])) ??
    fail('EDITOR environment variable is not set. editor or vi are not available'),
  pager: async () => {
    const pager = nonEmpty(process.env['PAGER']) ?? (await firstOf(['less', 'more']))
    if (pager === undefined) return fail('No pager could be found: set PAGER, or install less or more')
    return pager === 'less' ? 'less -FRX' : pager
  },
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text
}

function fail(why: string): never {
  throw new UserError(why)
}

async function firstOf(names: readonly string[]): Promise<string | undefined> {
  const folders = (process.env['PATH'] ?? '').split(':').filter(folder => folder !== '')
  for (const name of names) {
    for (const folder of folders) {
      const isThere = await access(join(folder, name), constants.X_OK).then(
        () => true,
        () => false,
      )
      if (isThere) return name
    }
  }
  return undefined
}
