// One listener of the proxy's file, with everything that it does not say filled in.

import type { UserError } from '../../platform/errors.ts'
import type { CheckSpec } from './check-types.ts'
import { defaultAccess, defaultChecks, defaultListener } from './defaults.ts'
import type { ListenerFile } from './schema.ts'
import type {
  AccessConfig,
  AccessRule,
  Bind,
  ListenerConfig,
  OnNoBackend,
  PoolKind,
  ServerOptions,
} from './types.ts'

type Wrong = (message: string) => UserError

interface ListenerDefault {
  readonly bind: Bind
  readonly pool: PoolKind
}

const STANDARD: Readonly<Record<string, ListenerDefault>> = {
  write: { bind: { host: undefined, port: 5000 }, pool: 'leader' },
  read: { bind: { host: undefined, port: 6000 }, pool: 'replica' },
}

/** Builds it; `wrong` makes the error for what is missing. */
export function buildListener(name: string, listener: ListenerFile, wrong: Wrong): ListenerConfig {
  const standard = STANDARD[name]
  const bind = listener.bind ?? standard?.bind
  const pool = listener.pool ?? standard?.pool
  if (bind === undefined) throw wrong(`listeners.${name}.bind: is missing: expected an address with a port`)
  if (pool === undefined) throw wrong(`listeners.${name}.pool: is missing: expected leader or replica`)
  const serverDefaults = {
    connectionsMax: listener.server_connections,
    sendProxy: listener.send_proxy === 'none' ? undefined : listener.send_proxy,
    source: listener.source,
  }
  const servers = Object.entries(listener.servers ?? {}).map(([server, said]) =>
    buildServer(server, said, serverDefaults),
  )
  if (pool === 'servers' && servers.length === 0)
    throw wrong(`listeners.${name}.servers: is missing: expected a mapping of servers with their addresses`)
  const { sync, tags, max_lag: lagBytesMax, max_lag_time: lagMsMax, streaming_only } = listener.filter
  const { login, connect, queue, client, server, client_fin, server_fin } = listener.timeouts
  const { client_unacked, server_unacked } = listener.timeouts
  return {
    ...defaultListener,
    name,
    binds: Array.isArray(bind) ? bind : [bind],
    pool,
    fallback: listener.fallback,
    filter: { sync, tags, lagBytesMax, lagMsMax, streamingOnly: streaming_only },
    balance: listener.balance,
    connectionsMax: listener.max_connections,
    onNoBackend: buildOnNoBackend(listener),
    timeouts: {
      loginMs: login,
      connectMs: connect,
      queueMs: queue,
      clientMs: client,
      serverMs: server,
      clientFinMs: client_fin,
      serverFinMs: server_fin,
      clientUnackedMs: client_unacked,
      serverUnackedMs: server_unacked,
    },
    access: buildAccess(listener),
    acceptsProxy: listener.accept_proxy,
    retries: listener.retries,
    queueMax: listener.max_queue,
    keepAliveMs: listener.keepalive,
    cutAfterMs: listener.cut_after,
    shedMs: listener.shed,
    servers,
    serverDefaults,
  }
}

/**
 * Gives servers of pools of their own names that nobody else has: beside the members of a store, and where two listeners call
 * different servers the same.
 */
export function nameServersApart(
  listeners: readonly ListenerConfig[],
  hasMembers: boolean,
): readonly ListenerConfig[] {
  const own = listeners.filter(({ pool }) => pool === 'servers').flatMap(({ servers }) => servers)
  const isAmbiguous = ({ name, address }: ServerOptions) =>
    own.some(
      other =>
        other.name === name && (other.address.host !== address.host || other.address.port !== address.port),
    )
  return listeners.map(listener => {
    if (listener.pool !== 'servers') return listener
    const servers = listener.servers.map(server =>
      hasMembers || isAmbiguous(server) ? { ...server, name: `${listener.name}/${server.name}` } : server,
    )
    return { ...listener, servers }
  })
}

function buildOnNoBackend({ on_no_backend: said }: ListenerFile): OnNoBackend {
  return {
    holdMs: said.hold,
    heldMax: said.max_held,
    afterHold: said.then === 'error' ? 'error' : 'close',
    plainErrors: said.plain_errors,
    stopsListening: said.then === 'stop-listening',
    releasePerSecond: said.release_rate,
  }
}

/** What is denied is denied; when something is allowed, nothing else is. */
function buildAccess({ access }: ListenerFile): AccessConfig {
  const rules: AccessRule[] = []
  if (access.deny !== undefined) rules.push({ action: 'reject', ranges: access.deny, negated: false })
  if (access.allow !== undefined) rules.push({ action: 'reject', ranges: access.allow, negated: true })
  return {
    ...defaultAccess,
    rules: rules.length === 0 ? [] : [rules],
    perSourcePerSecond: access.per_source_rate,
    perSecond: access.rate,
  }
}

/** What a server's own lines do not say, the listener says for all of them. */
function buildServer(
  name: string,
  said: NonNullable<ListenerFile['servers']>[string],
  defaults: ListenerConfig['serverDefaults'],
): ServerOptions {
  const address = { host: said.address.host ?? '', port: said.address.port }
  const { intervalMs, fastIntervalMs, rise, fall, timeoutMs } = defaultChecks
  const check: CheckSpec | undefined =
    said.check === 'none'
      ? undefined
      : {
          question: said.check === 'tcp' ? { kind: 'tcp' } : { kind: 'postgres', user: 'pgherd' },
          target: address,
          tls: undefined,
          // The check goes to the server's own port, which expects the header as before a session.
          sendProxy: defaults.sendProxy !== undefined,
          intervalMs,
          fastIntervalMs,
          downIntervalMs: intervalMs,
          rise,
          fall,
          connectTimeoutMs: timeoutMs,
          timeoutMs,
        }
  return {
    name,
    address,
    weight: said.weight,
    connectionsMax: said.max_connections ?? defaults.connectionsMax,
    queueMax: undefined,
    isBackup: said.backup,
    takesLeader: false,
    isDisabled: false,
    slowStartMs: said.slow_start,
    sendProxy: defaults.sendProxy,
    source: defaults.source,
    check,
    cutsWhenDown: true,
    cutsBackupsWhenUp: false,
  }
}
