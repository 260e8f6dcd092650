// What every command is given: the store, the members' REST servers, the terminal. Built in `commands/ctl.ts`.

import type { Json } from '../cluster/json.ts'
import type { ClusterView } from '../cluster/view.ts'
import type { Dcs } from '../dcs/dcs.ts'
import type { Clock } from '../platform/clock.ts'
import { Deadline } from '../platform/deadline.ts'
import { UserError } from '../platform/errors.ts'
import type { Terminal } from './terminal.ts'

/** How a member answered. */
export interface RestAnswer {
  readonly code: number
  readonly text: string
}

/** Sends one request to a member's REST server; rejects when no answer came by the deadline. */
export type CallMember = (
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
  apiUrl: string,
  endpoint: string,
  /** Undefined: none. */
  body: Json | undefined,
  by: Deadline,
) => Promise<RestAnswer>

export interface CtlContext {
  readonly clock: Clock
  readonly terminal: Terminal
  readonly defaultScope: string | undefined
  /** The store of one cluster; the same object for the same scope. */
  readonly openDcs: (scope: string) => Dcs
  readonly callMember: CallMember
  /** Reports that the cluster refused: with --strict the exit code becomes 1. */
  readonly noteRefusal: () => void
  /** Aborts when the user interrupts. */
  readonly signal: AbortSignal
}

const READ_MS = 10_000
const WRITE_MS = 10_000

/** The name that was given, else the configuration's scope; a UserError when there is neither. */
export function scopeOf(context: CtlContext, name: string | undefined): string {
  const scope = name ?? context.defaultScope
  if (scope === undefined)
    throw new UserError('Missing the name of the cluster: give it, or a configuration with `scope`')
  return scope
}

/** Reads a cluster's keys; a store that does not answer is a UserError that names it. */
export async function readCluster(context: CtlContext, scope: string): Promise<ClusterView> {
  try {
    return await context.openDcs(scope).read(Deadline.in(context.clock, READ_MS))
  } catch (error) {
    if (error instanceof UserError) throw error
    // The store's own sentence names its causes already.
    const why = error instanceof Error ? error.message : String(error)
    throw new UserError(`Can not read the cluster ${scope}: ${why}`)
  }
}

/** Writes one key if it still has the revision that was read. Throws UserError when etcd does not confirm. */
export async function writeKey(
  context: CtlContext,
  scope: string,
  key: string,
  value: string,
  revision: bigint | undefined,
): Promise<'won' | 'lost'> {
  const unchanged =
    revision === undefined
      ? ({ kind: 'absent', key } as const)
      : ({ kind: 'mod-revision', key, revision } as const)
  const { outcome } = await context
    .openDcs(scope)
    .write([unchanged], [{ kind: 'put', key, value }], Deadline.in(context.clock, WRITE_MS))
  if (outcome === 'won' || outcome === 'lost') return outcome
  throw new UserError(
    `etcd did not confirm the change (${outcome}): look at the cluster before you try again`,
  )
}
