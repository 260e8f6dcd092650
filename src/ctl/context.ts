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
  method: 'POST' | 'PATCH' | 'DELETE',
  apiUrl: string,
  endpoint: string,
  body: Json,
  by: Deadline,
) => Promise<RestAnswer>

export interface CtlContext {
  readonly clock: Clock
  readonly terminal: Terminal
  readonly defaultScope: string | undefined
  /** The store of one cluster; the same object for the same scope. */
  readonly openDcs: (scope: string) => Dcs
  readonly callMember: CallMember
  /** Aborts when the user interrupts. */
  readonly signal: AbortSignal
}

const READ_MS = 10_000

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
