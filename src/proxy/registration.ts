// Registers the proxy in the store under a lease of its own, so that others can see which proxies live.
// Nothing depends on it for safety: a failure is tried again and costs nothing else.

import { type JsonObject, printJson } from '../cluster/json.ts'
import type { ClusterView } from '../cluster/view.ts'
import type { Dcs } from '../dcs/dcs.ts'
import type { Clock } from '../platform/clock.ts'
import { Deadline } from '../platform/deadline.ts'
import { messageOf } from '../platform/errors.ts'
import type { Logger } from '../platform/log.ts'

const KEY_PREFIX = 'pgherd/'
const TTL_SECONDS = 15
const RENEW_MS = 5_000
const CALL_MS = 2_000

export interface RegistrationOptions {
  readonly clock: Clock
  readonly dcs: Dcs
  readonly log: Logger
  /** Names the key `pgherd/proxies/<id>`. */
  readonly id: string
  readonly value: JsonObject
  /** The scope as the proxy read it last; undefined before the first time. */
  readonly lastView: () => ClusterView | undefined
}

/** A registration in force: its lease, and the revision at which the key was written. */
interface Registered {
  readonly leaseId: bigint
  readonly revision: bigint
}

/** Keeps the key alive until `signal` aborts, then takes it away. Never rejects. */
export async function keepRegistered(options: RegistrationOptions, signal: AbortSignal): Promise<void> {
  const { clock, log } = options
  let registered: Registered | undefined
  while (!signal.aborted) {
    try {
      registered = registered === undefined ? await register(options) : await renew(options, registered)
    } catch (error) {
      log.debug(`registration: ${messageOf(error)}`)
    }
    if (registered === undefined && !signal.aborted) log.debug('registration: will be tried again')
    await clock.sleep(RENEW_MS, signal).catch(() => {})
  }
  if (registered !== undefined)
    await options.dcs.revokeLease(registered.leaseId, deadline(options)).catch(() => {})
}

async function register(options: RegistrationOptions): Promise<Registered | undefined> {
  const { id } = await options.dcs.grantLease(TTL_SECONDS, deadline(options))
  return put(options, id)
}

async function put(options: RegistrationOptions, leaseId: bigint): Promise<Registered | undefined> {
  const { dcs, value } = options
  const write = { kind: 'put', key: KEY_PREFIX + keyOf(options), value: printJson(value), leaseId } as const
  const { outcome, revision } = await dcs.write([], [write], deadline(options))
  // Should an unanswered write be applied later, its lease ends by itself.
  return outcome === 'won' && revision !== undefined ? { leaseId, revision } : undefined
}

async function renew(options: RegistrationOptions, registered: Registered): Promise<Registered | undefined> {
  const renewal = await options.dcs.keepAlive(registered.leaseId, deadline(options))
  if (renewal.outcome === 'lost') return register(options)
  return isDeleted(options, registered) ? put(options, registered.leaseId) : registered
}

/** Somebody deleted the key and left the lease: `ctl remove` does, and an operator's mistake. */
function isDeleted(options: RegistrationOptions, { revision }: Registered): boolean {
  const view = options.lastView()
  return view !== undefined && view.position.revision > revision && !view.own.has(keyOf(options))
}

/** Relative to our own keys. */
function keyOf({ id }: RegistrationOptions): string {
  return `proxies/${id}`
}

function deadline({ clock }: RegistrationOptions): Deadline {
  return Deadline.in(clock, CALL_MS)
}
