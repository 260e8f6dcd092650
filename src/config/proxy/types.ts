// What a proxy's file means, typed, with every default filled in.

import type { EtcdConfig } from '../agent/types.ts'

/** An address to listen on; without a host on all addresses. */
export interface Bind {
  readonly host: string | undefined
  readonly port: number
}

/** `leader`: the one write backend. `replica`: all replicas that may serve reads. */
export type PoolKind = 'leader' | 'replica'

/** What becomes of a client for whom there is no backend. */
export interface OnNoBackend {
  readonly holdMs: number
  readonly heldMax: number
  /** What a client gets whose time is up: an error message, or just a close. */
  readonly afterHold: 'error' | 'close'
  /** May a client that asked for encryption get the error in clear text? */
  readonly plainErrors: boolean
}

export interface ListenerConfig {
  readonly name: string
  readonly bind: Bind
  readonly pool: PoolKind
  /** Where sessions of a replica pool go when there is no replica. */
  readonly fallback: 'leader' | 'none'
  readonly balance: 'roundrobin'
  readonly connectionsMax: number
  readonly onNoBackend: OnNoBackend
}

export interface CheckConfig {
  readonly intervalMs: number
  readonly timeoutMs: number
  readonly rise: number
  readonly fall: number
  readonly fastIntervalMs: number
}

/** Where members and leadership are learned from. */
export type DiscoveryConfig =
  | { readonly kind: 'etcd'; readonly etcd: EtcdConfig }
  | { readonly kind: 'patroni'; readonly urls: readonly string[] }

export interface ProxyConfig {
  /** What messages call the configuration. */
  readonly file: string
  /** The proxy's own name, in events and in the store. */
  readonly name: string
  /** Undefined only without a file: the members tell it then. */
  readonly scope: string | undefined
  readonly namespace: string
  readonly discovery: DiscoveryConfig
  readonly listeners: readonly ListenerConfig[]
  readonly admin: { readonly bind: Bind }
  readonly checks: CheckConfig
  readonly log: { readonly type: 'plain' | 'json'; readonly level: 'debug' | 'info' | 'warning' | 'error' }
  /** Events are appended here; undefined keeps them in memory alone. */
  readonly eventsFile: string | undefined
}

/** `*:5000`, `10.0.0.4:5000`, `[::1]:5000`. */
export function printBind(bind: Bind): string {
  if (bind.host === undefined) return `*:${bind.port}`
  return bind.host.includes(':') ? `[${bind.host}]:${bind.port}` : `${bind.host}:${bind.port}`
}
