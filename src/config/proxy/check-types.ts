// What one server is asked, how often, and what counts as good. In the terms of HAProxy's files.

import type { HostPort } from '../../cluster/member.ts'
import type { TlsFiles } from './types.ts'

/** Codes from `from` to `to`, both included. */
export interface StatusRange {
  readonly from: number
  readonly to: number
}

/** Which answers are good. */
export interface Expectation {
  readonly ranges: readonly StatusRange[]
  /** Good is what lies outside of the ranges. */
  readonly negated: boolean
}

export type Question =
  | {
      readonly kind: 'http'
      readonly method: string
      readonly path: string
      /** `HTTP/1.0` or `HTTP/1.1`. */
      readonly version: string
      readonly headers: readonly (readonly [string, string])[]
      readonly expects: Expectation
      /** Does code 404 end new sessions without ending the present ones? */
      readonly drainsOn404: boolean
    }
  /** A connection that opens is good. */
  | { readonly kind: 'tcp' }
  /** A PostgreSQL start-up packet: good when the server takes connections. */
  | { readonly kind: 'postgres'; readonly user: string }

export interface CheckedNames {
  /** Told to the server, which may have several certificates. */
  readonly serverName: string | undefined
  /** What the certificate must be for; undefined: any name will do, if only its authority is known. */
  readonly verifiedName: string | undefined
}

export interface CheckSpec {
  readonly question: Question
  readonly target: HostPort
  /** Undefined: in clear text. */
  readonly tls: (TlsFiles & CheckedNames) | undefined
  readonly sendProxy: boolean
  readonly intervalMs: number
  readonly fastIntervalMs: number
  readonly downIntervalMs: number
  readonly rise: number
  readonly fall: number
  /** For the connection, TLS included. */
  readonly connectTimeoutMs: number
  /** The whole of one check: connecting and the answer. */
  readonly timeoutMs: number
}
