// Runs one program of the operator's that makes a replica. Judges nothing but its exit code and what it left.

import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { delimiter, join, resolve } from 'node:path'
import type { ReplicaMethod } from '../config/agent/types.ts'
import { runChild } from '../platform/child.ts'
import { Deadline } from '../platform/deadline.ts'
import { HaError } from '../platform/errors.ts'
import { commandWords } from './command-words.ts'
import type { Context } from './context.ts'
import { serverEnvironment } from './environment.ts'
import type { Upstream } from './port.ts'
import { conninfo } from './settings-text.ts'
import { upstreamWords } from './upstream.ts'

/** A copy is ended by its signal; this only bounds a wait that nobody aborts. */
const COPY_MS = 30 * 24 * 3_600_000
const LOOK_MS = 30_000

/** Programs of Patroni's own package that people's files name, with what does the same without it. */
const EQUIVALENTS: Readonly<Record<string, string>> = {
  patroni_barman: "command: sh -c 'ssh barman@HOST barman recover SERVER latest DATA_DIR', no_params: true",
  patroni_wale_restore: 'command: wal-g backup-fetch DATA_DIR LATEST, no_params: true',
  patroni_aws: 'a script of your own that tags the volume',
}

/** Rejects with HaError unless the program ends with 0 and leaves a cluster. */
export async function runReplicaMethod(
  context: Context,
  method: ReplicaMethod,
  source: Upstream | undefined,
  signal: AbortSignal,
): Promise<void> {
  const { clock, data } = context
  const failed = (why: string) =>
    new HaError('E_CLONE', `replica method ${method.name} failed: ${why}`, { retryable: true })
  const [name = '', ...words] = commandWords(method.command ?? method.name)
  const program = await findProgram(name)
  if (program === undefined) throw failed(missing(name, context.config.file))
  const args = method.noParams ? words : [...words, ...parameters(context, method, source)]
  const result = await runChild(program, args, {
    by: Deadline.in(clock, COPY_MS),
    env: { ...serverEnvironment(), PGPASSFILE: context.passfile },
    signal,
    diesWithUs: true,
  })
  signal.throwIfAborted()
  if (result.code !== 0) {
    const said = (result.stderr.trim() || result.stdout.trim()).split('\n').slice(-2).join(' / ')
    throw failed(`exit code ${result.code ?? result.signal}: ${said}`)
  }
  const look = await data.look(Deadline.in(clock, LOOK_MS))
  if (look?.state !== 'initialized')
    throw failed('it ended well, but there is no cluster in the data directory')
}

function parameters(
  { config, passfile }: Context,
  { options }: ReplicaMethod,
  source: Upstream | undefined,
): readonly string[] {
  return [
    `--scope=${config.scope}`,
    '--role=replica',
    `--datadir=${config.postgres.dataDir}`,
    `--connstring=${source === undefined ? '' : connectionOf(source)}`,
    ...options.map(([key, value]) => `--${key}=${value}`),
  ]

  /** Without secrets: everybody can read a command line. */
  function connectionOf(upstream: Upstream): string {
    const { sslpassword: _secret, ...words } = upstreamWords(upstream, config.postgres.replication, passfile)
    return conninfo({ ...words, dbname: config.postgres.database })
  }
}

/** As a shell finds it; undefined when it is not there or may not be run. */
async function findProgram(name: string): Promise<string | undefined> {
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

function missing(name: string, file: string): string {
  const equivalent = EQUIVALENTS[name]
  return equivalent === undefined
    ? `the program ${name} is not there or may not be run: correct its command in ${file}`
    : `the program ${name} is part of the package patroni, which is not installed; in ${file} this does the same: ${equivalent}`
}
