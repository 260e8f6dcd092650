// Runs one program of the operator's that makes a replica. Judges nothing but its exit code and what it left.

import type { ReplicaMethod } from '../config/agent/types.ts'
import { runChild } from '../platform/child.ts'
import { Deadline } from '../platform/deadline.ts'
import { HaError } from '../platform/errors.ts'
import { commandWords } from './command-words.ts'
import type { Context } from './context.ts'
import { serverEnvironment } from './environment.ts'
import type { Upstream } from './port.ts'
import { findProgram, missingProgram } from './programs.ts'
import { conninfo } from './settings-text.ts'
import { upstreamWords } from './upstream.ts'

/** A copy is ended by its signal; this only bounds a wait that nobody aborts. */
const COPY_MS = 30 * 24 * 3_600_000
const LOOK_MS = 30_000

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
  if (program === undefined) throw failed(missingProgram(name, context.config.file))
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
