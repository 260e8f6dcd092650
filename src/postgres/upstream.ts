// How an upstream is reached: a member by its one address, another cluster by one or several.

import type { HostPort } from '../cluster/member.ts'
import type { Credentials } from '../config/agent/types.ts'
import type { Deadline } from '../platform/deadline.ts'
import { HaError, messageOf } from '../platform/errors.ts'
import { withConnection } from './connection.ts'
import type { Context } from './context.ts'
import type { Upstream } from './port.ts'
import { connectionWords, isWordOf } from './settings-text.ts'

/** Is there a server to talk to, and not only an archive? */
export function hasServer({ remote }: Upstream): boolean {
  return remote === undefined || remote.hosts.length > 0
}

/**
 * As connectionWords, for our own PostgreSQL and its tools; of several servers of another cluster libpq takes the one that
 * takes writes.
 */
export function upstreamWords(
  context: Context,
  { address, remote }: Upstream,
  who: Credentials,
): Readonly<Record<string, string>> {
  const { majorVersion, passfile } = context
  for (const word of Object.keys(who.options).filter(word => !isWordOf(majorVersion, word)))
    context.warnOnce(
      `postgresql.authentication: ${word} of ${who.username} is left out: PostgreSQL ${majorVersion} does not know it`,
    )
  const { krbsrvname } = context.settings
  const words = {
    ...connectionWords(address, who, passfile, majorVersion),
    ...(krbsrvname === undefined ? {} : { krbsrvname }),
  }
  if (remote === undefined || remote.hosts.length < 2) return words
  const hosts = remote.hosts.map(({ host }) => host).join(',')
  const ports = remote.hosts.map(({ port }) => port).join(',')
  return { ...words, host: hosts, port: ports, target_session_attrs: 'read-write' }
}

/** The upstream with the address of the server that is meant: of several, the primary. Rejects when none of them is one. */
export async function located(context: Context, upstream: Upstream, by: Deadline): Promise<Upstream> {
  const { remote } = upstream
  if (remote === undefined || remote.hosts.length < 2) return upstream
  const looks = remote.hosts.map(address => isPrimary(context, address, by))
  const found = await Promise.allSettled(looks)
  const index = found.findIndex(look => look.status === 'fulfilled' && look.value)
  const address = remote.hosts[index]
  if (address !== undefined) return { ...upstream, address }
  const reasons = found.map((look, place) => {
    const { host, port } = remote.hosts[place] ?? upstream.address
    return `${host}:${port} ${look.status === 'fulfilled' ? 'is a standby' : messageOf(look.reason)}`
  })
  throw new HaError('E_NOT_PRIMARY', `none of the remote servers is a primary: ${reasons.join('; ')}`)
}

async function isPrimary(context: Context, address: HostPort, by: Deadline): Promise<boolean> {
  const target = context.remote(address, context.config.postgres.rewind, false)
  const [row] = await withConnection(target, by, connection =>
    connection.query('SELECT pg_is_in_recovery() AS standby', by),
  )
  return row?.['standby'] === 'f'
}
