// Which adverts count: keepalived's rules, each refusal with its reason. Pure.

import type { Family } from './family.ts'
import { type Advert, type Auth, decodeAdvert, type Envelope } from './packet.ts'

/** A packet as it came, behind its IP header. */
export interface Arrival extends Envelope {
  readonly bytes: Buffer
  /** TTL or hop limit; undefined where the system does not tell. */
  readonly hopLimit: number | undefined
}

/** What an instance expects of its peers. */
export interface Expectation {
  readonly version: 2 | 3
  readonly family: Family
  readonly routerId: number
  readonly advertMs: number
  readonly auth: Auth
  readonly addresses: readonly string[]
  readonly ownAddress: string
  /** The peers when adverts go to each of them; undefined with multicast. */
  readonly peers: readonly string[] | undefined
  /** keepalived's check_unicast_src. */
  readonly checksPeer: boolean
}

/** Words for the metric's label. */
export const REFUSALS = [
  'malformed',
  'hop-limit',
  'version',
  'mode',
  'peer',
  'auth-type',
  'password',
  'interval',
] as const
export type Refusal = (typeof REFUSALS)[number]

export type Verdict =
  | {
      readonly kind: 'accept'
      readonly advert: Advert
      /** Another list of addresses than ours: counts all the same, since two masters would be worse. */
      readonly differs: string | undefined
    }
  /** Not for this instance: another router's, or our own that came back. */
  | { readonly kind: 'ignore' }
  | { readonly kind: 'refuse'; readonly reason: Refusal; readonly says: string }

/** Judges a packet. Never throws. The order of the rules is keepalived's, so that both tell the same reason first. */
export function judge(expected: Expectation, arrival: Arrival): Verdict {
  const { bytes, source, hopLimit } = arrival
  // Other instances on this network are none of our business, even their mistakes.
  if (source === expected.ownAddress || bytes[1] !== expected.routerId) return { kind: 'ignore' }
  const isMulticast = isMulticastAddress(arrival.destination)
  if (hopLimit !== undefined && hopLimit !== 255 && isMulticast) {
    return refuse('hop-limit', `hop limit ${hopLimit} instead of 255: it came through a router`)
  }
  const decoded = decodeAdvert(bytes, arrival)
  if (decoded.advert === undefined) return refuse('malformed', decoded.reason)
  const { advert } = decoded
  const mismatch = mismatchOf(expected, advert) ?? strangerOf(expected, source, isMulticast)
  if (mismatch !== undefined) return mismatch
  return { kind: 'accept', advert, differs: differenceOf(expected.addresses, advert.addresses) }
}

function refuse(reason: Refusal, says: string): Verdict {
  return { kind: 'refuse', reason, says }
}

function mismatchOf(expected: Expectation, advert: Advert): Verdict | undefined {
  if (advert.version !== expected.version) {
    return refuse('version', `version ${advert.version}, ours is ${expected.version}`)
  }
  if (expected.version === 3) return undefined
  if (advert.auth.kind !== expected.auth.kind) {
    return refuse(
      'auth-type',
      `authentication ${printAuth(advert.auth)}, ours is ${printAuth(expected.auth)}`,
    )
  }
  if (advert.auth.kind === 'pass' && expected.auth.kind === 'pass') {
    // Clear text on the wire: the comparison leaks nothing that the network does not.
    if (advert.auth.password !== expected.auth.password.slice(0, 8)) {
      return refuse('password', 'another password')
    }
  }
  if (advert.intervalMs !== expected.advertMs) {
    const [theirs, ours] = [advert.intervalMs / 1000, expected.advertMs / 1000]
    return refuse('interval', `advert_int ${theirs}, ours is ${ours}: all peers need the same`)
  }
  return undefined
}

function strangerOf(
  { peers, checksPeer }: Expectation,
  source: string,
  isMulticast: boolean,
): Verdict | undefined {
  if (peers === undefined) {
    return isMulticast ? undefined : refuse('mode', 'it came by unicast, and no unicast_peer is configured')
  }
  if (isMulticast) return refuse('mode', 'it came by multicast, and unicast_peer is configured')
  if (checksPeer && !peers.includes(source)) return refuse('peer', 'it is no unicast_peer of ours')
  return undefined
}

function printAuth(auth: Auth): string {
  return auth.kind === 'none' ? 'none' : auth.kind === 'pass' ? 'PASS' : `type ${auth.type}`
}

function differenceOf(ours: readonly string[], theirs: readonly string[]): string | undefined {
  const isSame = ours.length === theirs.length && ours.every(address => theirs.includes(address))
  return isSame ? undefined : `addresses ${theirs.join(', ') || 'none'}, ours are ${ours.join(', ')}`
}

/** 224.0.0.0/4 or ff00::/8. */
function isMulticastAddress(address: string): boolean {
  if (address.includes(':')) return /^ff/i.test(address)
  const first = Number(address.split('.')[0])
  return first >= 224 && first <= 239
}
