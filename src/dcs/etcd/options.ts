// Settings of the etcd client, with their defaults, and the reading of endpoint addresses.

import type { Clock } from '../../platform/clock.ts'
import { UserError } from '../../platform/errors.ts'
import type { Logger } from '../../platform/log.ts'
import type { DcsMetrics } from '../metrics.ts'

/** TLS towards etcd. Contents, not file names: reading them is the caller's work. */
export interface EtcdTls {
  readonly ca: Buffer
  readonly cert?: Buffer
  readonly key?: Buffer
}

export interface EtcdOptions {
  /** `http://10.0.0.4:2379`, `https://etcd1:2379` or `10.0.0.4:2379`; the port defaults to 2379. */
  readonly endpoints: readonly string[]
  readonly namespace: string
  readonly scope: string
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics?: DcsMetrics
  readonly tls?: EtcdTls
  readonly auth?: { readonly username: string; readonly password: string }
  /** The time in which all endpoints should have had a try; divides the time of one attempt. Default 10 s. */
  readonly retryTimeoutMs?: number
  /** Silence on a watch stream after which the member is asked for a sign of life. Default 2 s. */
  readonly watchSilenceMs?: number
  /** Where in the list to begin; random by default, so that not everybody sits on the first member. */
  readonly startAt?: number
}

/** One configured address. */
export interface EndpointAddress {
  readonly host: string
  readonly port: number
  readonly secure: boolean
  /** For logs and metrics: `10.0.0.4:2379`. */
  readonly name: string
}

const PORT_DEFAULT = 2379

/** Reads an endpoint as people write it. Throws UserError naming the text when it is none. */
export function parseEndpoint(text: string): EndpointAddress {
  const match = /^(?:(https?):\/\/)?(\[[0-9a-fA-F:.]+\]|[^:/\s[\]]+)(?::(\d{1,5}))?\/?$/.exec(text.trim())
  const port = match?.[3] === undefined ? PORT_DEFAULT : Number(match[3])
  const host = match?.[2]?.replace(/^\[|\]$/g, '')
  if (match === null || host === undefined || port < 1 || port > 65535) {
    throw new UserError(`etcd endpoint "${text}" is not an address: write host:port or http(s)://host:port`)
  }
  return { host, port, secure: match[1] === 'https', name: `${match[2]}:${port}` }
}
