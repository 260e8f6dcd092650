// Where a member is reached and by what: the one thing that a transport needs to know.

import type { EtcdTls } from './secrets.ts'

/** The ways to speak to etcd: gRPC, or its gateway that takes JSON over HTTP. */
export type Transport = 'grpc' | 'http'

export interface OpenTarget {
  /** The name that was configured, which a certificate must carry. */
  readonly host: string
  readonly port: number
  /** What the name resolves to. */
  readonly address: string
  readonly secure: boolean
  readonly tls: EtcdTls | undefined
}
