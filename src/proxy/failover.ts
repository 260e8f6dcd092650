// Measures one change of leader and tells it in one line. Pure bookkeeping: times come in, a sentence goes out.

import { asInteger, isObject, type JsonObject } from '../cluster/json.ts'

/** Times of one failover on the proxy's monotonic clock. */
export interface FailoverTimes {
  /** The old leader's last answer that proved its leadership. */
  readonly lastGoodAtMs: number
  /** When the leader key was seen to be gone, or to name another. */
  readonly keyGoneAtMs: number
  /** When the key was seen with the new leader's name. */
  readonly lockAtMs: number
  /** When new sessions could start at the new leader. */
  readonly routedAtMs: number
}

/** What the new leader says about its own part, in milliseconds. */
export interface LeaderPhases {
  readonly lockMs: number | undefined
  readonly promoteMs: number | undefined
}

/** Reads `pgherd.phases` of a member key. */
export function readPhases(own: JsonObject | undefined): LeaderPhases | undefined {
  const phases = own?.['phases']
  if (!isObject(phases)) return undefined
  const lockMs = asInteger(phases['lock_ms'])
  const promoteMs = asInteger(phases['promote_ms'])
  return lockMs === undefined && promoteMs === undefined ? undefined : { lockMs, promoteMs }
}

export interface FailoverReport {
  readonly from: string
  readonly to: string
  readonly timeline: number | undefined
  readonly times: FailoverTimes
  readonly phases: LeaderPhases | undefined
  readonly sessionsCut: number
  readonly sessionsHeld: number
}

/** Seconds of each phase; `routed` is what is left of the whole when the known phases are taken away. */
export function phasesOf(report: FailoverReport): Readonly<Record<string, number>> {
  const { times, phases } = report
  const total = times.routedAtMs - times.lastGoodAtMs
  const toKeyGone = Math.max(0, times.keyGoneAtMs - times.lastGoodAtMs)
  const lock = phases?.lockMs ?? Math.max(0, times.lockAtMs - times.keyGoneAtMs)
  const promote = phases?.promoteMs
  const routed = Math.max(0, total - toKeyGone - lock - (promote ?? 0))
  return {
    total: total / 1000,
    last_good_to_key_gone: toKeyGone / 1000,
    lock: lock / 1000,
    ...(promote === undefined ? {} : { promote: promote / 1000 }),
    routed: routed / 1000,
  }
}

/** `failover to timeline 7: pg1 -> pg2 in 1.26 s (...); 37 sessions cut, 212 held`. */
export function printFailover(report: FailoverReport): string {
  const phases = phasesOf(report)
  const timeline = report.timeline === undefined ? '' : ` to timeline ${report.timeline}`
  const parts = [`last good answer to key gone ${fixed(phases['last_good_to_key_gone'])}`]
  for (const name of ['lock', 'promote', 'routed']) {
    if (phases[name] !== undefined) parts.push(`${name} ${fixed(phases[name])}`)
  }
  const whole = `failover${timeline}: ${report.from} -> ${report.to} in ${fixed(phases['total'])} s`
  return `${whole} (${parts.join(', ')}); ${report.sessionsCut} sessions cut, ${report.sessionsHeld} held`
}

function fixed(durationSeconds: number | undefined): string {
  return (durationSeconds ?? 0).toFixed(2)
}
