// What a proxy's file means, typed, with every default filled in.

import type { HostPort } from '../../cluster/member.ts'
import type { EtcdConfig } from '../agent/types.ts'
import type { VipConfig } from '../vip/types.ts'
import type { CheckSpec } from './check-types.ts'

/** An address to listen on; without a host on all addresses. */
export interface Bind {
  readonly host: string | undefined
  readonly port: number
  /** Does `::` leave clients of IPv4 to others? */
  readonly ipv6Only?: boolean
}

/**
 * `leader`: the one write backend. `standby-leader`: the head of a standby cluster. `replica`: replicas that may serve
 * reads. `any`: replicas and the leader alike. `servers`: the servers of the file whose own check is good.
 */
export type PoolKind = 'leader' | 'standby-leader' | 'replica' | 'any' | 'servers'

/** How a pool shares new sessions out. */
export type Balance =
  | { readonly kind: 'roundrobin' | 'leastconn' | 'source' | 'first' }
  | { readonly kind: 'random'; readonly draws: number }

/** Which members a pool of reads takes. Every condition must hold. */
export interface MemberFilter {
  readonly sync: 'any' | 'sync' | 'async'
  /** Tags with these values, as text. */
  readonly tags: Readonly<Record<string, string>>
  readonly lagBytesMax: number | undefined
  readonly lagMsMax: number | undefined
  /** Only members that receive from the leader by streaming. */
  readonly streamingOnly: boolean
}

/** What becomes of a client for whom there is no backend. */
export interface OnNoBackend {
  readonly holdMs: number
  readonly heldMax: number
  /** What a client gets whose time is up: an error message, or just a close. */
  readonly afterHold: 'error' | 'close'
  /** May a client that asked for encryption get the error in clear text? */
  readonly plainErrors: boolean
  /** Is the port closed while there is no backend, so that clients with several hosts go on at once? */
  readonly stopsListening: boolean
  /** Held sessions that may be released in a second; Infinity: all at once. */
  readonly releasePerSecond: number
}

/** Times of a session; undefined: no such limit. */
export interface SessionTimeouts {
  readonly loginMs: number
  readonly connectMs: number
  /** How long a session waits for a place on a server that is full. */
  readonly queueMs: number
  readonly clientMs: number | undefined
  readonly serverMs: number | undefined
  readonly clientFinMs: number | undefined
  readonly serverFinMs: number | undefined
  /** TCP_USER_TIMEOUT: how long sent data may go unacknowledged. A peer that answers and does not read is let be. */
  readonly clientUnackedMs: number | undefined
  readonly serverUnackedMs: number | undefined
}

/** One address range: `bits` of the 16 bytes of an IPv6 address (IPv4 is mapped). */
export interface AddressRange {
  readonly text: string
  readonly bytes: readonly number[]
  readonly bits: number
}

/** Matches a source inside of the ranges, or inside of any when there are none; `negated`: every other source. */
export interface AccessTerm {
  readonly ranges: readonly AddressRange[] | undefined
  readonly negated: boolean
}

/** The first rule that matches decides; none: accepted. It matches when its own term and all of `also` do. */
export interface AccessRule extends AccessTerm {
  readonly action: 'accept' | 'reject'
  readonly also?: readonly AccessTerm[]
}

export interface AccessConfig {
  /** Each list must let the source in, which is the one of the PROXY header where there is one. */
  readonly rules: readonly (readonly AccessRule[])[]
  /** These look at whoever connects, before any header. */
  readonly peerRules: readonly AccessRule[]
  /** New connections of one source address in a second. */
  readonly perSourcePerSecond: number | undefined
  /** New sessions of the listener in a second. */
  readonly perSecond: number | undefined
}

/** What is said of one server, found by its address. */
export interface ServerOptions {
  readonly name: string
  readonly address: HostPort
  readonly weight: number
  readonly connectionsMax: number | undefined
  /** Sessions that may wait for it; undefined: no limit of its own. */
  readonly queueMax: number | undefined
  readonly isBackup: boolean
  /** A backup of a pool of replicas: does it take sessions while it is the leader, too? */
  readonly takesLeader: boolean
  /** In maintenance from the start. */
  readonly isDisabled: boolean
  readonly slowStartMs: number
  readonly sendProxy: 'v1' | 'v2' | undefined
  /** Local address of connections to it. */
  readonly source: string | undefined
  /** Undefined: it counts as up without a check. */
  readonly check: CheckSpec | undefined
  /** Are its sessions cut when it goes down? */
  readonly cutsWhenDown: boolean
  /** Are sessions on backup servers cut when it comes up? */
  readonly cutsBackupsWhenUp: boolean
}

export interface ListenerConfig {
  readonly name: string
  readonly binds: readonly Bind[]
  readonly pool: PoolKind
  /** Where sessions of a read pool go when it is empty. */
  readonly fallback: 'leader' | 'none'
  readonly filter: MemberFilter
  readonly balance: Balance
  readonly connectionsMax: number
  readonly onNoBackend: OnNoBackend
  readonly timeouts: SessionTimeouts
  readonly access: AccessConfig
  /** Does a PROXY header come before the client's first byte? */
  readonly acceptsProxy: boolean
  /** Connection attempts after the first; to another server where there is one. */
  readonly retries: number
  /** Sessions that may wait for servers that are full; undefined: what the servers' own limits say. */
  readonly queueMax: number | undefined
  /** Keepalive's first probe after this much silence; undefined: none. */
  readonly keepAliveMs: number | undefined
  /** How long sessions stay on a server that has left the pool; undefined: as long as they want. */
  readonly cutAfterMs: number | undefined
  /** Over what time sessions leave the leader when the pool has members again; undefined: never. */
  readonly shedMs: number | undefined
  /** What is known of single servers; for the pool kind `servers` these are the pool. */
  readonly servers: readonly ServerOptions[]
  /** What holds for servers that are not named there. */
  readonly serverDefaults: Pick<ServerOptions, 'connectionsMax' | 'sendProxy' | 'source'>
  readonly allBackups: boolean
}

export interface CheckConfig {
  readonly intervalMs: number
  readonly timeoutMs: number
  readonly rise: number
  readonly fall: number
  readonly fastIntervalMs: number
  /** While a member is down; the same as `intervalMs` unless it was set. */
  readonly downIntervalMs: number
  /** Role for the question whether a server takes connections; undefined: it is not asked. */
  readonly pingUser: string | undefined
  /** For REST servers that want a certificate or have one of a private authority: PEM files. */
  readonly tls: TlsFiles
}

/** Who may read the status port. */
export interface AdminGuard {
  /** `name:password`; none: nobody is asked. */
  readonly users: readonly string[]
  readonly realm: string
  /** Each list must let the source in. */
  readonly rules: readonly (readonly AccessRule[])[]
}

/** The status port. What stands at a place of the lists is about the bind of the same place. */
export interface AdminConfig {
  readonly binds: readonly Bind[]
  /** Who may come in; none: everybody. */
  readonly guards?: readonly (AdminGuard | undefined)[]
  /** What addresses of the page begin with, beside `/`; none: nothing else. */
  readonly prefixes?: readonly string[]
}

/** Paths of PEM files. `verify` false: any certificate will do. */
export interface TlsFiles {
  readonly verify: boolean
  readonly caFile: string | undefined
  readonly certFile: string | undefined
  readonly keyFile: string | undefined
}

/** Where members and leadership are learned from. */
export type DiscoveryConfig =
  /** `file`: where the section stands when it is not the proxy's own file. */
  | { readonly kind: 'etcd'; readonly etcd: EtcdConfig; readonly file?: string }
  | { readonly kind: 'patroni'; readonly urls: readonly string[] }
  /** From the servers of the file and their checks. `leaderListener` says which listener's checks decide who leads. */
  | { readonly kind: 'static'; readonly leaderListener: string | undefined }

/** What happens to write sessions when the store is silent. */
export type OnDcsLoss = 'keep' | 'close'

export interface ProxyConfig {
  /** What messages call the configuration. */
  readonly file: string
  /** `haproxy`: timings and ways to close as HAProxy's, from its file. */
  readonly compat: 'native' | 'haproxy'
  /** The proxy's own name, in events and in the store. */
  readonly name: string
  /** Undefined only without a file of ours: the members tell it then. */
  readonly scope: string | undefined
  readonly namespace: string
  readonly discovery: DiscoveryConfig
  readonly onDcsLoss: OnDcsLoss
  readonly listeners: readonly ListenerConfig[]
  /** Sessions of all listeners together; undefined: only their own limits count. */
  readonly connectionsMax: number | undefined
  readonly admin: AdminConfig
  readonly checks: CheckConfig
  /** What moves the bytes: Node's TCP handles or its public sockets. */
  readonly relay: 'auto' | 'net' | 'handle'
  /** Threads that carry sessions; 1: the one that decides does that, too. */
  readonly threads: number
  readonly log: { readonly type: 'plain' | 'json'; readonly level: 'debug' | 'info' | 'warning' | 'error' }
  /** Events are appended here; undefined keeps them in memory alone. */
  readonly eventsFile: string | undefined
  readonly vips: readonly VipConfig[]
}

/** `*:5000`, `10.0.0.4:5000`, `[::1]:5000`. */
export function printBind(bind: Bind): string {
  if (bind.host === undefined) return `*:${bind.port}`
  return bind.host.includes(':') ? `[${bind.host}]:${bind.port}` : `${bind.host}:${bind.port}`
}

/** All addresses of a listener, for people. */
export function printBinds(binds: readonly Bind[]): string {
  return binds.map(printBind).join(', ')
}
