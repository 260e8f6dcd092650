// Which settings count for our server now: a standby that leads a standby cluster has some of its own.

import { asStandbyLeader } from '../config/agent/settings.ts'
import type { ServerSettings } from '../config/agent/types.ts'
import { Deadline } from '../platform/deadline.ts'
import type { WorkContext } from './work.ts'

const FILES_MS = 10_000

/** The settings in force, by the configuration and by whether we hold the key of a standby cluster. */
export function settingsNow({
  parts,
  state,
  keeper,
}: Pick<WorkContext, 'parts' | 'state' | 'keeper'>): ServerSettings {
  const settings = parts.settingsFor(state.config)
  const isStandbyLeader = state.config.standbyCluster !== undefined && keeper.hold !== undefined
  return isStandbyLeader ? asStandbyLeader(settings) : settings
}

/** Before a start: what the server is to be may have changed while it was down. */
export async function takeSettings(context: WorkContext): Promise<void> {
  const { postgres, clock } = context.parts
  await postgres.configure(settingsNow(context), Deadline.in(clock, FILES_MS))
}
