// What outages the numbers of a haproxy.cfg and of the agents' configuration lead to. Pure arithmetic over the known
// behaviour of HAProxy and Patroni; its test compares it with what was measured.

import type { CheckSpec } from '../proxy/check-types.ts'

/** The agents' numbers, in seconds. */
export interface AgentTimes {
  readonly ttlSeconds: number
  readonly loopWaitSeconds: number
  readonly retryTimeoutSeconds: number
}

/** What applies unless the cluster's configuration says otherwise. */
export const agentDefaults: AgentTimes = { ttlSeconds: 30, loopWaitSeconds: 10, retryTimeoutSeconds: 10 }

/** From the fault until it works again, in seconds. */
export interface Span {
  readonly from: number
  readonly to: number
}

export interface Prediction {
  readonly fault: string
  /** With the file as HAProxy runs it. */
  readonly span: Span
  /** Where the time goes. */
  readonly because: string
  /** With the same file, members and leader found in the store. */
  readonly withStore: Span
}

/** A race and a promotion. */
const PROMOTE: Span = { from: 1, to: 2 }
/** What the orders of a planned change take by themselves. */
const SWITCH: Span = { from: 1, to: 2 }
/** A crash recovery after a restart in place. */
const RECOVER: Span = { from: 1, to: 4 }
/** From the store's event to the first session. */
const EVENT: Span = { from: 0, to: 0.5 }

function plus(...spans: readonly Span[]): Span {
  return {
    from: spans.reduce((sum, { from }) => sum + from, 0),
    to: spans.reduce((sum, { to }) => sum + to, 0),
  }
}

/** `24-38 s`. */
export function printSpan({ from, to }: Span): string {
  const print = (value: number) => String(Math.round(value * 10) / 10)
  return from === to ? `${print(from)} s` : `${print(Math.max(0, from))}-${print(to)} s`
}

/** How long until a server whose checks are good counts as up. */
export function upAfter({ rise, intervalMs }: CheckSpec): Span {
  return { from: ((rise - 1) * intervalMs) / 1000, to: (rise * intervalMs) / 1000 }
}

/** How long until a server whose checks are answered badly counts as down. */
export function downAfter({ fall, intervalMs }: CheckSpec): Span {
  return { from: ((fall - 1) * intervalMs) / 1000, to: (fall * intervalMs) / 1000 }
}

/** How long until a server that answers nothing counts as down. */
export function silentAfter({ fall, intervalMs, timeoutMs }: CheckSpec): Span {
  return { from: ((fall - 1) * intervalMs) / 1000, to: (fall * (intervalMs + timeoutMs)) / 1000 }
}

/** How long the old and the new leader both count as up after a planned change; undefined: they do not. */
export function twoWriters({ rise, fall, intervalMs }: CheckSpec): Span | undefined {
  const middle = ((fall - rise) * intervalMs) / 1000
  if (middle <= 0) return undefined
  // Checks of two servers are not in step: servers are asked a sixth of the interval apart, each way.
  const spread = intervalMs / 6000
  return { from: middle - spread, to: middle + spread }
}

/** Predictions for the section of the leader. */
export function predict(check: CheckSpec, times: AgentTimes): readonly Prediction[] {
  const { ttlSeconds: ttl, loopWaitSeconds: loop } = times
  const rest: Span = { from: Math.max(0, ttl - loop), to: ttl }
  const up = upAfter(check)
  const ofTtl = `${printSpan(rest)} left of ttl, ${printSpan(PROMOTE)} to promote`
  const ofChecks = `${printSpan(up)} for ${check.rise} good checks`
  const restart: Span = { from: 0, to: loop }
  const down = downAfter(check)
  const agentGone = plus(rest, PROMOTE, up)
  return [
    {
      fault: "the leader's host dies",
      span: plus(rest, PROMOTE, up),
      because: `${ofTtl}, ${ofChecks}`,
      withStore: plus(rest, PROMOTE, EVENT),
    },
    {
      fault: 'planned switchover',
      span: plus(SWITCH, up),
      because: `${printSpan(SWITCH)} for the change itself, ${ofChecks}`,
      withStore: plus(SWITCH, EVENT),
    },
    {
      fault: "the leader's PostgreSQL crashes",
      span: plus(restart, RECOVER),
      because: `up to ${loop} s until the agent looks, ${printSpan(RECOVER)} to recover`,
      withStore: plus(restart, RECOVER),
    },
    {
      fault: "the leader's agent is killed",
      span: { from: Math.max(0, agentGone.from - down.to), to: agentGone.to - down.from },
      because: `writes go on until the server is down by its check (${printSpan(down)}), then ${ofTtl}, ${ofChecks}`,
      withStore: plus(PROMOTE, EVENT),
    },
  ]
}
