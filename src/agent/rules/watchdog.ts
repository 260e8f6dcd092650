// No primary without the watchdog that its configuration asks for.

import type { ServerFacts } from '../../postgres/port.ts'
import type { Decision } from '../decision.ts'
import type { Memory, Snapshot } from '../snapshot.ts'
import { say } from './say.ts'

/** For the holder of the leader key: arms what is not armed yet; gives the lead away where one is required and does not work. */
export function underWatchdog(
  { watchdog, config }: Snapshot,
  { role }: ServerFacts,
  memory: Memory,
): Decision | undefined {
  if (watchdog.mode === 'off' || config.isPaused) return undefined
  if (watchdog.lack === undefined) {
    if (watchdog.isArmed) return undefined
    return say('arm-watchdog', 'leader: arming the watchdog', memory, { kind: 'arm-watchdog' })
  }
  if (watchdog.mode !== 'required') return undefined
  const why = `the watchdog does not work and is required: ${watchdog.lack}`
  if (role === 'replica') {
    return say('watchdog-required', `not promoting self: ${why}`, memory, { kind: 'release-leader' })
  }
  const demoted: Memory = { ...memory, role: 'demoted' }
  const demotion = { mode: 'immediate', release: true, heirs: undefined } as const
  return say('watchdog-required', `demoting self: ${why}`, demoted, { kind: 'demote', demotion })
}
