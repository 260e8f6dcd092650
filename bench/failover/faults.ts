// What is struck, and what is needed afterwards until the cluster is whole again.

import type { Cluster } from '../../src/demo/cluster.ts'
import type { Member } from '../../src/demo/member.ts'
import { signal } from '../../src/demo/proctable.ts'

export const FAULTS = ['postmaster', 'both', 'switchover'] as const
export type FaultKind = (typeof FAULTS)[number]

/** How it reads in the report. */
export const TITLES: Readonly<Record<FaultKind, string>> = {
  postmaster: 'the postmaster is killed',
  both: 'agent and server are killed',
  switchover: 'switchover',
}

const SWITCHOVER_WITHIN_MS = 30_000

/** Strikes the leader. Resolves once the fault is there; whoever must be started again is started by `mend`. */
export async function strike(kind: FaultKind, leader: Member): Promise<void> {
  if (kind === 'postmaster') {
    signal(await leader.postmasterPid(), 'SIGKILL')
    return
  }
  if (kind === 'both') return leader.host.kill()
  const body = JSON.stringify({ leader: leader.name })
  const by = AbortSignal.timeout(SWITCHOVER_WITHIN_MS)
  const answer = await leader.rest('/switchover', { method: 'POST', body, signal: by })
  if (answer.code !== 200) throw new Error(`the switchover was refused: ${answer.code} ${answer.body}`)
}

/** Everybody is back and streams. */
export async function mend(
  kind: FaultKind,
  cluster: Cluster,
  struck: Member,
  by: AbortSignal,
): Promise<void> {
  if (kind === 'both') {
    await cluster.leader({ not: [struck], signal: by })
    await struck.agent.start()
  }
  await cluster.complete(120_000, by)
}
