// Settings of the etcd client, with their defaults, and the reading of endpoint addresses.

import type { EventDraft } from '../../cluster/event.ts'
import type { Clock } from '../../platform/clock.ts'
import { UserError } from '../../platform/errors.ts'
import type { Logger } from '../../platform/log.ts'
import type { DcsMetrics } from '../metrics.ts'
import type { EtcdSecrets, EtcdTls, SecretSource } from './secrets.ts'
import type { SrvQuestion } from './srv.ts'
import type { Transport } from './target.ts'

export interface EtcdOptions {
  /** `http://10.0.0.4:2379`, `https://etcd1:2379` or `10.0.0.4:2379`; the port defaults to 2379. */
  readonly endpoints: readonly string[]
  /** In place of endpoints: where DNS has them. */
  readonly srv?: SrvQuestion
  /** Asks DNS; the system's resolver by default. */
  readonly lookupSrv?: () => Promise<readonly string[]>
  /** Default `grpc`. */
  readonly transport?: Transport
  /** Whether members from etcd's own list may be asked besides. Default true. */
  readonly followMembers?: boolean
  readonly namespace: string
  readonly scope: string
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics?: DcsMetrics
  /** Called with what is worth an event. */
  readonly onEvent?: (draft: EventDraft) => void
  /** Certificates and password that may change; else `tls` and `auth`, which do not. Closed with the client. */
  readonly secrets?: SecretSource
  readonly tls?: EtcdTls
  readonly auth?: NonNullable<EtcdSecrets['auth']>
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
