// What can be done to the leader, each with its cure. The story around it is told elsewhere.

import type { Member } from '../member.ts'

/** The demo's faults by name. */
export type FaultName = 'kill' | 'agent' | 'freeze' | 'switchover'

/** One thing to do to the leader. */
export interface Fault {
  /** What happens, for the story: `NAME` stands for the leader. */
  readonly says: string
  /** Does it; resolves when it is done, not when the cluster has answered. */
  strike(leader: Member): Promise<void>
  /** What is done about it after a while; undefined: nothing has to be. */
  readonly cure?: { readonly says: string; heal(member: Member): Promise<void> }
}

const SWITCHOVER_WITHIN_MS = 30_000

/** All faults. */
export const faults: Readonly<Record<FaultName, Fault>> = {
  kill: {
    says: 'the power goes out on NAME: agent and server are killed',
    strike: leader => leader.host.kill(),
    cure: { says: 'NAME gets its power back', heal: member => member.agent.start() },
  },
  agent: {
    says: "NAME's agent is killed; its server goes on without a guard until the lease ends",
    strike: leader => leader.agent.kill(),
    cure: { says: "NAME's agent is started again", heal: member => member.agent.start() },
  },
  freeze: {
    says: 'everything on NAME freezes, like a paused virtual machine',
    strike: leader => leader.host.freeze(),
    cure: { says: 'NAME thaws, and still believes that it leads', heal: member => member.host.thaw() },
  },
  switchover: {
    says: 'NAME is asked to hand over',
    strike: switchOver,
  },
}

async function switchOver(leader: Member): Promise<void> {
  const { code, body } = await leader.rest('/switchover', {
    method: 'POST',
    body: JSON.stringify({ leader: leader.name }),
    signal: AbortSignal.timeout(SWITCHOVER_WITHIN_MS),
  })
  if (code !== 200) throw new Error(`the switchover was refused: ${body}`)
}
