// What a patroni.yml means, typed. `LocalConfig` is one node's file plus environment; `DynamicConfig` is the cluster's
// `config` key with defaults and floors applied; `ServerSettings` is what both say about the PostgreSQL server.

import type { JsonObject } from '../../cluster/json.ts'
import type { HostPort, Tags } from '../../cluster/member.ts'
import type { LogLevel } from '../../platform/log.ts'
import type { LogFileOptions } from '../../platform/log-file.ts'
import type { LineLook } from '../../platform/log-format.ts'
import type { VipConfig } from '../vip/types.ts'
import type { PermanentSlot, SlotMatcher } from './slots.ts'

/** Something in the file that is accepted but worth telling, with its place. */
export interface ConfigWarning {
  readonly file: string
  readonly line: number | undefined
  readonly keyPath: string
  readonly says: string
}

export interface Credentials {
  readonly username: string
  readonly password: string | undefined
  /** libpq words beside user and password: sslmode, sslcert, channel_binding ... */
  readonly options: Readonly<Record<string, string>>
}

/** Where etcd is and what it wants to see. Files are named, not read. */
export interface EtcdConfig {
  /** `http://host:port` or `https://host:port`; empty when DNS tells them. */
  readonly endpoints: readonly string[]
  /** SRV records to look up in place of endpoints. */
  readonly srv: { readonly domain: string; readonly suffix: string | undefined } | undefined
  /** Whether members that etcd itself names may be asked besides: not through a proxy. */
  readonly followMembers: boolean
  readonly transport: 'grpc' | 'http'
  readonly username: string | undefined
  readonly password: string | undefined
  readonly cacert: string | undefined
  readonly cert: string | undefined
  readonly key: string | undefined
}

export interface Account {
  readonly username: string
  readonly password: string
}

/** A member's REST server. */
export interface RestConfig {
  /** Host may be `*` or empty: all addresses. */
  readonly listen: HostPort
  readonly connectAddress: HostPort
  /** Who may change something; undefined: everybody. */
  readonly authentication: Account | undefined
  /** Who may read what only accounts may read; undefined: reading is free. */
  readonly readOnly: Account | undefined
  readonly tls: RestTlsConfig | undefined
  /** Addresses, networks (10.0.0.0/8) and host names that may change something; empty: all. */
  readonly allowlist: readonly string[]
  readonly allowlistIncludesMembers: boolean
  readonly extraHeaders: Readonly<Record<string, string>>
  readonly serverTokens: 'original' | 'minimal' | 'productonly'
}

/** Paths of PEM files. */
export interface RestTlsConfig {
  readonly certfile: string
  /** Undefined: the key is in `certfile` too. */
  readonly keyfile: string | undefined
  readonly keyfilePassword: string | undefined
  readonly cafile: string | undefined
  readonly ciphers: string | undefined
  readonly verifyClient: 'none' | 'optional' | 'required'
}

/** How REST servers are called. */
export interface RestClientConfig {
  readonly authentication: Account | undefined
  /** Do not verify certificates. */
  readonly insecure: boolean
  readonly cacert: string | undefined
  readonly certfile: string | undefined
  readonly keyfile: string | undefined
  readonly keyfilePassword: string | undefined
}

/** One option of initdb: a bare name or name and value. */
export type ToolOption = string | Readonly<Record<string, string>>

/** A program of the operator's that fills the data directory of a new cluster. */
export interface BootstrapMethod {
  readonly name: string
  readonly command: string
  /** Handed over as `--name=value`. */
  readonly options: readonly (readonly [string, string])[]
  readonly noParams: boolean
  /** The recovery that the program itself has prepared is left as it is. */
  readonly keepsRecovery: boolean
  /** Up to where the server recovers; empty: it only ends what is there. */
  readonly recovery: Readonly<Record<string, string>>
}

export interface BootstrapConfig {
  /** Undefined: initdb. */
  readonly method?: BootstrapMethod | undefined
  /** Written to the `config` key by the node that bootstraps. */
  readonly dcs: JsonObject
  readonly initdb: readonly ToolOption[]
  readonly pgHba: readonly string[]
  readonly postBootstrap: string | undefined
}

export interface LocalPostgres {
  /** The addresses of `listen`, comma separated as PostgreSQL takes them. */
  readonly listenAddresses: string
  readonly port: number
  readonly connectAddress: HostPort
  readonly dataDir: string
  readonly binDir: string | undefined
  readonly database: string
  readonly pgpass: string | undefined
  readonly superuser: Credentials
  readonly replication: Credentials
  readonly rewind: Credentials
  /** Of the file alone, as the next one; what counts is in ServerSettings. */
  readonly basebackup: readonly ToolOption[]
  /** More options for pg_rewind. */
  readonly rewindOptions?: readonly ToolOption[]
  /** The file's own `parameters`, `pg_hba`, `use_pg_rewind` ...: merged over the dynamic ones. */
  readonly raw: JsonObject
}

/** A path, when it becomes another file, and what may wait for the disk. */
export type LogFileConfig = LogFileOptions

export interface LogConfig {
  readonly level: LogLevel
  /** Of single parts of the program: agent, postgres, etcd, rest. */
  readonly levels: ReadonlyMap<string, LogLevel>
  readonly look: LineLook
  /** Undefined: standard error. */
  readonly file: LogFileConfig | undefined
}

/** The machine's watchdog: resets the machine when nobody feeds it in time. */
export interface WatchdogConfig {
  /** `required`: without a working one this member does not lead. */
  readonly mode: 'off' | 'automatic' | 'required'
  readonly device: string
  /** It fires this much before the lease ends; -1: after half of the lease. */
  readonly safetyMarginSeconds: number
  /** `testing`: a named pipe gets as text what a device would be told. */
  readonly driver: 'default' | 'testing'
}

/** How the operator's scripts are run; which ones, `ServerSettings` says. */
export interface ScriptConfig {
  /** What callbacks call a primary. */
  readonly primaryRole: 'primary' | 'master'
  /** A script that takes longer is ended; undefined: it may take as long as it likes. */
  readonly callbackTimeoutMs: number | undefined
  readonly prePromoteTimeoutMs: number | undefined
  readonly beforeStopTimeoutMs: number | undefined
}

export interface LocalConfig {
  readonly file: string
  readonly name: string
  readonly scope: string
  /** As `/service`, without a slash at its end. */
  readonly namespace: string
  readonly etcd: EtcdConfig
  readonly rest: RestConfig
  readonly restClient: RestClientConfig
  readonly bootstrap: BootstrapConfig
  readonly postgres: LocalPostgres
  readonly tags: Tags
  readonly log: LogConfig
  readonly watchdog: WatchdogConfig
  readonly scripts: ScriptConfig
  readonly vips: readonly VipConfig[]
  readonly warnings: readonly ConfigWarning[]
}

export type SynchronousMode = 'off' | 'on' | 'quorum'

export interface DynamicConfig {
  readonly ttlSeconds: number
  readonly loopWaitSeconds: number
  readonly retryTimeoutSeconds: number
  readonly maximumLagOnFailoverBytes: bigint
  readonly checkTimeline: boolean
  readonly primaryStartTimeoutSeconds: number
  readonly primaryStopTimeoutSeconds: number
  readonly memberSlotsTtlSeconds: number
  readonly maxTimelinesHistory: number
  readonly isPaused: boolean
  /** Who must confirm a commit: nobody, the standbys that the agent names, or a number of them. */
  readonly synchronousMode: SynchronousMode
  /** Without a standby that confirms, commits wait. */
  readonly isSynchronousStrict: boolean
  readonly synchronousNodeCount: number
  /** A standby further behind than this is not asked to confirm; undefined is no limit. */
  readonly maximumLagOnSyncnodeBytes: bigint | undefined
  /** While etcd is away the leader goes on as long as every other member agrees. */
  readonly isFailsafeMode: boolean
  /** While its WAL still arrives, a standby stays back from the race for up to this long. */
  readonly primaryRaceBackoffSeconds: number
  /** The floors are lowered by `pgherd: {short_ttl: true}`. */
  readonly shortTtl: boolean
  /** A planned change waits for open transactions so long. */
  readonly drainTimeoutSeconds: number
  /** A server that answers no new connection for so long hangs; 0: nobody looks. */
  readonly hungAfterSeconds: number
  readonly useSlots: boolean
  /** A standby whose WAL is gone is copied anew without an order: `pgherd: {rebuild_starved_replicas: true}`. */
  readonly rebuildsStarved: boolean
  /** Slots that the cluster keeps, by name. */
  readonly permanentSlots: ReadonlyMap<string, PermanentSlot>
  /** Slots that are somebody else's: neither made nor dropped. */
  readonly ignoredSlots: readonly SlotMatcher[]
  /** The cluster that this one follows; undefined: nobody. Then nothing here is ever a primary. */
  readonly standbyCluster: StandbySource | undefined
  /** What was clamped or refused, for one warning each. */
  readonly warnings: readonly string[]
  /** The `config` key as it is. */
  readonly raw: JsonObject
}

/** Where a standby cluster gets its data from. */
export interface StandbySource {
  /** The other cluster's servers, or an address that leads to its primary; empty: from the archive alone. */
  readonly hosts: readonly HostPort[]
  /** The other cluster's slot for us. */
  readonly slotName: string | undefined
  readonly restoreCommand: string | undefined
  readonly archiveCleanupCommand: string | undefined
  /** As PostgreSQL takes it; for the standby leader alone. */
  readonly recoveryMinApplyDelay: string | undefined
  /** How the first copy is made; undefined: as other replicas are. */
  readonly replicaMethods: readonly string[] | undefined
}

/** One way to make a replica. */
export interface ReplicaMethod {
  readonly name: string
  /** Undefined: our own pg_basebackup. */
  readonly command: string | undefined
  /** Handed over as `--name=value`. */
  readonly options: readonly (readonly [string, string])[]
  /** Only what stands in the command is handed over. */
  readonly noParams: boolean
  /** The data that is there is left for the program to use. */
  readonly keepData: boolean
  /** It needs no running leader. */
  readonly noLeader: boolean
}

/** What may differ between a primary and a standby. */
export interface RoleSettings {
  /** Written to postgresql.conf. */
  readonly parameters: Readonly<Record<string, string>>
  /** How a standby recovers (restore_command ...), without where it streams from. */
  readonly recovery: Readonly<Record<string, string>>
  /** Lines of pg_hba.conf; undefined leaves the file alone. */
  readonly pgHba: readonly string[] | undefined
  readonly pgIdent: readonly string[] | undefined
}

/** When a callback is called. */
export type CallbackAction = 'on_start' | 'on_stop' | 'on_restart' | 'on_reload' | 'on_role_change'

/** The operator's command lines. */
export interface Scripts {
  readonly callbacks: Readonly<Partial<Record<CallbackAction, string>>>
  /** Its failure stops a promotion. */
  readonly prePromote: string | undefined
  /** Runs before an ordered shutdown of the server. */
  readonly beforeStop: string | undefined
}

/** The effective wishes about the server: dynamic and local merged, controlled parameters decided. */
export interface ServerSettings extends RoleSettings {
  /** Set on the postmaster's command line, so that ALTER SYSTEM cannot change them. */
  readonly controlled: Readonly<Record<string, string>>
  /** In place of the general ones, for roles that have some of their own. */
  readonly byRole?: {
    readonly primary?: RoleSettings
    readonly replica?: RoleSettings
    readonly standbyLeader?: RoleSettings
  }
  /** How a replica is made, in the order of attempts; undefined: by pg_basebackup. */
  readonly replicaMethods?: readonly ReplicaMethod[]
  /** The same for the first copy of another cluster, where that differs. */
  readonly remoteMethods?: readonly ReplicaMethod[]
  /** More options for pg_basebackup; undefined: what the node's file says. */
  readonly basebackup?: readonly ToolOption[]
  /** The same for pg_rewind. */
  readonly rewindOptions?: readonly ToolOption[]
  /** Of the upstream's Kerberos service. */
  readonly krbsrvname?: string
  readonly usePgRewind: boolean
  readonly useSlots: boolean
  readonly removeDataDirectoryOnRewindFailure: boolean
  readonly removeDataDirectoryOnDivergedTimelines: boolean
  readonly scripts: Scripts
  /** Values that were refused, for one warning each. */
  readonly warnings: readonly string[]
}
