// Registers the proxy in the store under a lease of its own, so that others can see which proxies live.
// Nothing depends on it for safety: a failure is tried again and costs nothing else.

import { type JsonObject, printJson } from '../cluster/json.ts'
import type { Dcs } from '../dcs/dcs.ts'
import type { Clock } from '../platform/clock.ts'
import { Deadline } from '../platform/deadline.ts'
import { messageOf } from '../platform/errors.ts'
import type { Logger } from '../platform/log.ts'

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
}

/** Keeps the key alive until `signal` aborts, then takes it away. Never rejects. */
export async function keepRegistered(options: RegistrationOptions, signal: AbortSignal): Promise<void> {
  const { clock, log } = options
  let leaseId: bigint | undefined
  while (!signal.aborted) {
    try {
      leaseId = leaseId === undefined ? await register(options) : await renew(options, leaseId)
    } catch (error) {
      log.debug(`registration: ${messageOf(error)}`)
    }
    if (leaseId === undefined && !signal.aborted) log.debug('registration: will be tried again')
    await clock.sleep(RENEW_MS, signal).catch(() => {})
  }
  if (leaseId !== undefined) await options.dcs.revokeLease(leaseId, deadline(options)).catch(() => {})
}

async function register(options: RegistrationOptions): Promise<bigint | undefined> {
  const { dcs, id, value } = options
  const lease = await dcs.grantLease(TTL_SECONDS, deadline(options))
  const key = `pgherd/proxies/${id}`
  const written = await dcs.write(
    [],
    [{ kind: 'put', key, value: printJson(value), leaseId: lease.id }],
    deadline(options),
  )
  // Should an unanswered write be applied later, its lease ends by itself.
  return written.outcome === 'won' ? lease.id : undefined
}

async function renew(options: RegistrationOptions, leaseId: bigint): Promise<bigint | undefined> {
  const renewal = await options.dcs.keepAlive(leaseId, deadline(options))
  return renewal.outcome === 'lost' ? await register(options) : leaseId
}

function deadline({ clock }: RegistrationOptions): Deadline {
  return Deadline.in(clock, CALL_MS)
}
