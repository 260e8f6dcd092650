// Runs one program of the operator's that makes a replica. Judges nothing but its exit code and what it left.

import type { ReplicaMethod } from '../config/agent/types.ts'
import { HaError } from '../platform/errors.ts'
import type { Context } from './context.ts'
import { fillDataDirectory } from './method-program.ts'
import type { Upstream } from './port.ts'
import { conninfo } from './settings-text.ts'
import { upstreamWords } from './upstream.ts'

/** Rejects with HaError unless the program ends with 0 and leaves a cluster. */
export async function runReplicaMethod(
  context: Context,
  method: ReplicaMethod,
  source: Upstream | undefined,
  signal: AbortSignal,
): Promise<void> {
  const failed = (why: string) =>
    new HaError('E_CLONE', `replica method ${method.name} failed: ${why}`, { retryable: true })
  await fillDataDirectory(
    context,
    {
      command: method.command ?? method.name,
      args: method.noParams ? [] : parameters(context, method, source),
      env: { PGPASSFILE: context.passfile },
      failed,
      keepsData: method.keepData,
    },
    signal,
  )
}

function parameters(
  context: Context,
  { options }: ReplicaMethod,
  source: Upstream | undefined,
): readonly string[] {
  const { config } = context
  return [
    `--scope=${config.scope}`,
    '--role=replica',
    `--datadir=${config.postgres.dataDir}`,
    `--connstring=${source === undefined ? '' : connectionOf(source)}`,
    ...options.map(([key, value]) => `--${key}=${value}`),
  ]

  /** Without secrets: everybody can read a command line. */
  function connectionOf(upstream: Upstream): string {
    const { sslpassword: _secret, ...words } = upstreamWords(context, upstream, config.postgres.replication)
    return conninfo({ ...words, dbname: config.postgres.database })
  }
}
