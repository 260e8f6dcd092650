// Asks proxies for their status document. Only what the demo shows is read from it.

import type { Router } from '../router.ts'

/** An entry of the proxy's event list. */
export interface ProxyEvent {
  readonly id: number
  readonly kind: string
  readonly says: string
  readonly facts: Readonly<Record<string, unknown>>
}

/** The part of `/status` that the demo reads. */
export interface ProxyStatus {
  readonly has_leader_key: boolean
  readonly epoch: { readonly member: string } | null
  readonly write: { readonly member: string; readonly takes_new: boolean } | null
  readonly reads: readonly string[]
  readonly waiting_because: string | null
  readonly listeners: readonly { readonly name: string; readonly sessions: number; readonly held: number }[]
  readonly events: readonly ProxyEvent[]
}

const ANSWER_WITHIN_MS = 1_000

/** The address of the status page, for people. */
export function statusUrl({ host, ports }: Router): string {
  return `http://${host.address}:${ports.admin}/`
}

/** The proxy's own word. Rejects when it does not answer within a second. */
export async function askProxy(proxy: Router, signal?: AbortSignal): Promise<ProxyStatus> {
  const timeout = AbortSignal.timeout(ANSWER_WITHIN_MS)
  const limit = signal === undefined ? timeout : AbortSignal.any([timeout, signal])
  const response = await fetch(`${statusUrl(proxy)}status`, { signal: limit })
  return (await response.json()) as ProxyStatus
}

/** The id of the newest event; 0 when there is none. */
export function latestEventId({ events }: ProxyStatus): number {
  return events.at(-1)?.id ?? 0
}

/** The failover that was reported after the event `sinceId`. */
export function failoverSince({ events }: ProxyStatus, sinceId: number): ProxyEvent | undefined {
  return events.find(({ id, kind }) => kind === 'failover' && id > sinceId)
}
