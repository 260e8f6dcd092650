// What a proxy is made of that comes from outside.

import type { Registry } from 'prom-client'
import type { ProxyConfig } from '../config/proxy/types.ts'
import type { Dcs } from '../dcs/dcs.ts'
import type { PemFiles } from '../health/pem-files.ts'
import type { Clock } from '../platform/clock.ts'
import type { Logger } from '../platform/log.ts'
import type { Transport } from './relay/wire.ts'
import type { ProxyVip } from './standing.ts'
import type { Threads } from './threads/threads.ts'

export interface ProxyParts {
  readonly config: ProxyConfig
  readonly clock: Clock
  readonly log: Logger
  readonly registry: Registry
  /** Present exactly when the configuration names etcd. */
  readonly dcs: Dcs | undefined
  readonly version: string
  readonly pid: number
  /** The process's limit of open files; undefined when it is not known. */
  readonly descriptorsMax: number | undefined
  /** What carries the sessions. */
  readonly transport: Transport
  /** The same object as the transport, where worker threads carry the sessions. */
  readonly threads?: Threads
  /** Certificates and keys of the paths that the configuration names. */
  readonly pem: PemFiles
  /** The virtual addresses that this process may hold. */
  readonly vip?: ProxyVip
}
