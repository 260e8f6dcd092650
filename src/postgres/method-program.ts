// Runs a program of the operator's that fills the data directory. Judges nothing but its exit code and what it left.

import { runChild } from '../platform/child.ts'
import { Deadline } from '../platform/deadline.ts'
import type { HaError } from '../platform/errors.ts'
import { commandWords } from './command-words.ts'
import type { Context } from './context.ts'
import { serverEnvironment } from './environment.ts'
import { findProgram, missingProgram } from './programs.ts'

/** A program is ended by its signal; this only bounds a wait that nobody aborts. */
const FILL_MS = 30 * 24 * 3_600_000
const LOOK_MS = 30_000

export interface MethodProgram {
  readonly command: string
  /** Come behind the command's own words. */
  readonly args: readonly string[]
  /** Beside the environment that servers get. */
  readonly env?: NodeJS.ProcessEnv
  /** It works on what is there: until it has ended well, and after every restart, the directory counts as unfinished. */
  readonly keepsData?: boolean
  /** The error for this reason. */
  readonly failed: (why: string) => HaError
}

/** Rejects with `failed` unless the program ends with 0 and leaves a cluster. */
export async function fillDataDirectory(
  { clock, config, data }: Context,
  { command, args, env, failed, keepsData = false }: MethodProgram,
  signal: AbortSignal,
): Promise<void> {
  const [name = '', ...words] = commandWords(command)
  const program = await findProgram(name)
  if (program === undefined) throw failed(missingProgram(name, config.file))
  if (keepsData) await data.beginChange(Deadline.in(clock, LOOK_MS))
  const result = await runChild(program, [...words, ...args], {
    by: Deadline.in(clock, FILL_MS),
    env: { ...serverEnvironment(), ...env },
    signal,
    diesWithUs: true,
  })
  signal.throwIfAborted()
  if (result.code !== 0) {
    const left = keepsData ? await data.look(Deadline.in(clock, LOOK_MS)) : undefined
    if (left?.state === 'absent' || left?.state === 'empty') await data.endChange(Deadline.in(clock, LOOK_MS))
    const said = (result.stderr.trim() || result.stdout.trim()).split('\n').slice(-2).join(' / ')
    throw failed(`exit code ${result.code ?? result.signal}: ${said}`)
  }
  // Of an earlier method, too: it may have left strange files, and its note.
  await data.endChange(Deadline.in(clock, LOOK_MS))
  const look = await data.look(Deadline.in(clock, LOOK_MS))
  if (look?.state !== 'initialized')
    throw failed('it ended well, but there is no cluster in the data directory')
}
