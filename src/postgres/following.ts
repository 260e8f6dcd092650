// Which upstream a standby follows, and taking new settings into a running server.

import { slotNameOf } from '../cluster/slot-name.ts'
import { Deadline } from '../platform/deadline.ts'
import type { Intent } from './config-files.ts'
import type { Context } from './context.ts'
import type { Lifecycle } from './lifecycle.ts'
import type { Monitor } from './monitor.ts'
import type { ServerRole, Upstream } from './port.ts'
import { splitSecret } from './secret-files.ts'
import { conninfo, NO_SOURCE, type RecoverySource } from './settings-text.ts'
import { stopServer } from './shutdown.ts'
import { startServer } from './startup.ts'
import { hasServer, upstreamWords } from './upstream.ts'

/** From this version on a reload is enough to follow somebody else. */
const CONNINFO_BY_RELOAD = 13
const RESTORE_BY_RELOAD = 14
const STOP_MS = 30_000
const RELOAD_WAIT_MS = 1000
const RELOAD_POLL_MS = 20

/**
 * The two settings with which this member follows `upstream`: under its own name, through its own slot; another cluster
 * through the slot that it keeps for us.
 */
export function sourceOf(context: Context, upstream: Upstream | undefined): RecoverySource {
  if (upstream === undefined || !hasServer(upstream)) return NO_SOURCE
  const { config, settings } = context
  const named = upstreamWords(context, upstream, config.postgres.replication)
  const { open, serviceFile } = splitSecret(named)
  if (serviceFile !== undefined && !context.readsServiceFile)
    context.warnOnce(
      "postgresql.authentication.replication.sslpassword stands in primary_conninfo, and so in the server's log, until PostgreSQL is restarted",
    )
  const words = {
    ...(context.readsServiceFile ? open : named),
    ...(settings.parameters['sync_replication_slots'] === 'on' ? { dbname: config.postgres.database } : {}),
  }
  const slotName = upstream.remote === undefined ? slotNameOf(config.name) : (upstream.remote.slotName ?? '')
  return {
    primaryConninfo: conninfo({ ...words, application_name: config.name }),
    primarySlotName: settings.useSlots || upstream.remote !== undefined ? slotName : '',
  }
}

/** What a start as `role` should make of the server. */
export function intentOf(context: Context, role: ServerRole, upstream: Upstream | undefined): Intent {
  return role === 'primary' ? { role } : { role, source: sourceOf(context, upstream) }
}

/**
 * Writes the new source and makes the running standby take it: by reload from 13 on, else by a restart. So with another
 * restore_command, from 14 on.
 */
export async function follow(
  context: Context,
  lifecycle: Lifecycle,
  monitor: Monitor,
  upstream: Upstream | undefined,
  by: Deadline,
): Promise<boolean> {
  const { majorVersion } = await context.binaries(by)
  const intent = intentOf(context, 'replica', upstream)
  await context.writePassfile(by)
  await context.writeFiles(intent, by)
  if (followsByReload(majorVersion) && !waitsForRestart(majorVersion, monitor.pendingNames)) {
    if (!lifecycle.reload()) return false
    monitor.noteSource(intent.role === 'replica' ? intent.source : undefined)
    return true
  }
  const stop = { mode: 'fast', checkpointFirst: false, by: Deadline.in(context.clock, STOP_MS) } as const
  await stopServer(context, lifecycle, stop, undefined)
  return by.run('restarting to follow', signal => startServer(context, lifecycle, intent, signal))
}

/** Does a standby of this major take a new source without a restart? */
export function followsByReload(major: number): boolean {
  return major >= CONNINFO_BY_RELOAD
}

/** Does a standby of this major follow by other settings only after a restart, which nobody else would order? */
export function waitsForRestart(major: number | undefined, pending: readonly string[]): boolean {
  return major !== undefined && major < RESTORE_BY_RELOAD && pending.includes('restore_command')
}

/** Does the running server stream from (or, `undefined`, from nobody but) this upstream? */
export function isFollowing(context: Context, monitor: Monitor, upstream: Upstream | undefined): boolean {
  const now = monitor.source
  const wanted = sourceOf(context, upstream)
  return (
    now !== undefined &&
    !waitsForRestart(context.majorVersion, monitor.pendingNames) &&
    now.primaryConninfo === wanted.primaryConninfo &&
    now.primarySlotName === wanted.primarySlotName
  )
}

/** Writes files for the context's settings and reloads. True when a restart is needed for some of them. */
export async function reconfigure(
  context: Context,
  lifecycle: Lifecycle,
  monitor: Monitor,
  by: Deadline,
): Promise<boolean> {
  const pid = lifecycle.pid
  if (pid === undefined) return false
  const before = await monitor.look(pid, by)
  if (before.facts === undefined) return false
  const source = monitor.source ?? NO_SOURCE
  await context.writePassfile(by)
  const intent: Intent = before.facts.role === 'primary' ? { role: 'primary' } : { role: 'replica', source }
  await context.writeFiles(intent, by)
  await reload(context, lifecycle, monitor, by)
  return (await monitor.look(pid, by)).facts?.isRestartPending ?? false
}

/** SIGHUP, then waits until our own session has seen the new files (its load time moves). */
async function reload(context: Context, lifecycle: Lifecycle, monitor: Monitor, by: Deadline): Promise<void> {
  const loadedAt = async () =>
    (await monitor.query('SELECT pg_conf_load_time()::text AS at', by).catch(() => []))[0]?.['at']
  const before = await loadedAt()
  if (!lifecycle.reload()) return
  const until = by.within(RELOAD_WAIT_MS)
  while (!until.isOver() && (await loadedAt()) === before) await context.clock.sleep(RELOAD_POLL_MS)
}
