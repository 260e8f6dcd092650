// The times of VRRP, in milliseconds. Pure.

/** A priority that no check changes: whoever has it owns the addresses by right. */
export const OWNER_PRIORITY = 255

/** What the waiting times depend on. `advertMs` is the master's interval, in version 3 as its adverts say. */
export interface TimerInputs {
  readonly version: 2 | 3
  readonly priority: number
  readonly advertMs: number
  /** How many adverts may be missing. keepalived's down_timer_adverts, 3 unless said. */
  readonly missingAdverts: number
}

/** The part of the waiting time that lets the backup of the highest priority be first. */
export function skewMs({ version, priority, advertMs }: TimerInputs): number {
  const share = (256 - priority) / 256
  return version === 2 ? share * 1000 : share * advertMs
}

/** How long a backup waits since the last advert that it took, before it takes over. */
export function masterDownMs(inputs: TimerInputs): number {
  return inputs.missingAdverts * inputs.advertMs + skewMs(inputs)
}

/**
 * A master that was silent for this long may have been replaced: no peer of any priority takes over earlier. Beyond it the
 * addresses are dropped before anything else is done.
 */
export function stallLimitMs({
  advertMs,
  missingAdverts,
}: Omit<TimerInputs, 'priority' | 'version'>): number {
  return missingAdverts * advertMs
}
