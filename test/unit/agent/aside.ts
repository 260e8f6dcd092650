// What stands beside the work in a WorkContext, as it is where nobody has a watchdog or scripts.

import type { Callbacks } from '../../../src/agent/callbacks.ts'
import type { Watchdog } from '../../../src/agent/watchdog.ts'

/** Says in `told` what it is asked for. */
export function aside(told: string[] = []): { readonly watchdog: Watchdog; readonly callbacks: Callbacks } {
  const watchdog = {
    arm: async () => {},
    standDown: async () => void told.push('watchdog disarmed'),
    state: { mode: 'off', isArmed: false, lack: undefined, isHealthy: true },
  }
  const callbacks = {
    expect: (action: string) => void told.push(`${action} expected`),
    stopped: (role?: string) => void told.push(`on_stop ${role ?? 'as it was'}`),
    demoted: () => void told.push('demoted'),
  }
  return { watchdog: watchdog as unknown as Watchdog, callbacks: callbacks as unknown as Callbacks }
}

/** Of AgentParts. */
export const withoutScripts = {
  settingsFor: () => ({ scripts: { callbacks: {}, prePromote: undefined, beforeStop: undefined } }),
}
