// The virtual IPs of a process as typed configuration, whatever file they come from: the proxy's YAML, the section `pgherd:`
// of patroni.yml, a keepalived.conf.

import type { KeepalivedCheck, VrrpInstanceConfig } from '../keepalived/types.ts'

/** Whom the addresses go with. */
export type VipFollow =
  /** Any proxy that serves. */
  | 'proxy'
  /** The host of the leader. */
  | 'leader'
  /** A host with a replica that may be read from, the leader's only when there is none. */
  | 'replica'

/** An address as written in a file. */
export interface VipAddressConfig {
  readonly address: string
  readonly family: 4 | 6
  readonly prefixLength: number
  readonly interfaceName: string
  readonly label: string | undefined
}

interface VipBase {
  /** Unique within the process; names the key in etcd, the metric label, the log lines. */
  readonly name: string
  readonly follow: VipFollow
  /** The member beside which this process runs, for a proxy that cannot tell by its addresses. */
  readonly member: string | undefined
  /** 1 to 254, the higher the better. */
  readonly priority: number
  readonly addresses: readonly VipAddressConfig[]
  /** A pause of this process longer than this costs it the addresses. */
  readonly stallMs: number
}

export interface EtcdVipConfig extends VipBase {
  readonly driver: 'etcd'
  readonly ttlSeconds: number
  /** Whether a better candidate takes over from an owner that works, after this time. Undefined: never. */
  readonly preemptAfterMs: number | undefined
}

export interface CommandVipConfig extends VipBase {
  readonly driver: 'command'
  readonly ttlSeconds: number
  readonly preemptAfterMs: number | undefined
  /** Words of the commands; run without a shell. */
  readonly commands: {
    readonly add: readonly string[] | undefined
    readonly del: readonly string[] | undefined
    readonly check: readonly string[] | undefined
    /** Called as `<words> <action> <role> <scope>`, as Patroni calls its callbacks. */
    readonly callback: readonly string[] | undefined
  }
  /** The word for a leader in a callback: Patroni said `master` before its version 4. */
  readonly callbackRole: 'primary' | 'master'
  readonly timeoutMs: number
}

export interface NoneVipConfig extends VipBase {
  readonly driver: 'none'
}

/** An instance of VRRP, as a keepalived.conf describes it. */
export interface VrrpVipConfig extends VipBase {
  readonly driver: 'vrrp'
  readonly instance: VrrpInstanceConfig
  /** The checks that the instance tracks. */
  readonly checks: readonly KeepalivedCheck[]
  readonly startDelayMs: number
}

export type VipConfig = EtcdVipConfig | CommandVipConfig | VrrpVipConfig | NoneVipConfig
