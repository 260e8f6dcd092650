// Our own key `pgherd/claim`: whose the empty `initialize` is, which is alike for all members while a cluster is being born.

import { asText, parseJsonObject, printJson } from './json.ts'
import type { ClusterView } from './view.ts'

export const CLAIM_KEY = 'pgherd/claim'

export interface Claim {
  readonly name: string
  /** Tells the claims of one member from each other. */
  readonly since: string
}

export function printClaim({ name, since }: Claim): string {
  return printJson({ name, since })
}

/** A bootstrap under way, with the revisions that its writes compare. */
export interface ClaimInForce {
  /** The member that is making the cluster. */
  readonly name: string
  readonly initializeCreateRevision: bigint
  readonly modRevision: bigint
}

/**
 * Whose the empty `initialize` is; undefined when there is none, or when no agent of ours made it. A claim older than the
 * `initialize` is a leftover of another bootstrap.
 */
export function claimInForce({ initialize, own }: ClusterView): ClaimInForce | undefined {
  const key = own.get('claim')
  if (initialize?.value !== '' || key === undefined || key.modRevision < initialize.createRevision)
    return undefined
  const name = asText(parseJsonObject(key.value)?.['name'])
  if (name === undefined) return undefined
  return { name, initializeCreateRevision: initialize.createRevision, modRevision: key.modRevision }
}
