// Values in the forms that a haproxy.cfg has: durations, addresses, status codes, networks. Pure.

import type { HostPort } from '../../cluster/member.ts'
import { parseRange } from '../proxy/access.ts'
import type { Expectation, StatusRange } from '../proxy/check-types.ts'
import type { AddressRange, Bind } from '../proxy/types.ts'

const UNIT_MS: Readonly<Record<string, number>> = {
  us: 0.001,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}
/** The longest one that a timer takes: 24 days. */
export const DURATION_MS_MAX = 2 ** 31 - 1

/** Milliseconds of `3s`, `500`, `30m`; a number alone is in `unit`. Undefined when it is no duration. */
export function readDurationMs(text: string, unit: 'ms' | 's' = 'ms'): number | undefined {
  const match = /^(\d+)(us|ms|s|m|h|d)?$/.exec(text)
  if (match === null) return undefined
  const ms = Math.ceil(Number(match[1]) * (UNIT_MS[match[2] ?? unit] ?? 1))
  return ms > DURATION_MS_MAX ? undefined : ms
}

/** A whole number from 0 on; undefined otherwise. */
export function readWhole(text: string): number | undefined {
  return /^\d{1,9}$/.test(text) ? Number(text) : undefined
}

/** `10.0.0.1:5432`, `[::1]:5432`, `db1:5432`, `ipv4@10.0.0.1:5432`; `port` is undefined when there is none. */
export function readAddress(
  text: string,
): { readonly host: string; readonly port: number | undefined } | undefined {
  const bare = text.replace(/^(?:ipv4|ipv6|tcp|tcp4|tcp6)@/, '')
  const match = /^(\[[0-9a-fA-F:.]+\]|[^\s[\]]*?)(?::\+?(\d{1,5}))?$/.exec(bare)
  if (match === null) return undefined
  const host = (match[1] ?? '').replace(/^\[|\]$/g, '')
  const port = match[2] === undefined ? undefined : Number(match[2])
  if (host === '' || host.includes('@') || (port !== undefined && port > 65_535)) return undefined
  return { host, port }
}

/** `*:5000`, `:5000`, `10.0.0.4:5000,10.0.0.5:5000`, `:::5000`; undefined for what is no address with one port. */
export function readBinds(text: string): readonly Bind[] | undefined {
  const binds: Bind[] = []
  for (const part of text.split(',')) {
    const bare = part.replace(/^(?:ipv4|ipv6|tcp|tcp4|tcp6)@/, '')
    const match = /^(\*|\[[0-9a-fA-F:.]+\]|::|[^\s:[\]]*):(\d{1,5})$/.exec(bare)
    if (match === null || Number(match[2]) > 65_535) return undefined
    const host = (match[1] ?? '').replace(/^\[|\]$/g, '')
    // `*` is all IPv4 addresses; without more options HAProxy does not listen on IPv6.
    const isAll = host === '*' || host === ''
    binds.push({ host: isAll ? '0.0.0.0' : host, port: Number(match[2]) })
  }
  return binds
}

/** `200`, `200,201,300-310`, the sense turned round by `negated`; undefined when it is no list of codes. */
export function readStatuses(text: string, negated: boolean): Expectation | undefined {
  const ranges: StatusRange[] = []
  for (const part of text.split(',')) {
    const match = /^([1-5]\d\d)(?:-([1-5]\d\d))?$/.exec(part.trim())
    if (match === null) return undefined
    ranges.push({ from: Number(match[1]), to: Number(match[2] ?? match[1]) })
  }
  return { ranges, negated }
}

/** Networks of a `src` condition; undefined when one of them is none. */
export function readNetworks(words: readonly string[]): readonly AddressRange[] | undefined {
  const ranges = words.map(parseRange)
  return ranges.every(range => range !== undefined) ? ranges : undefined
}

/** Host and port as the text of a server's address, with a default port. */
export function withPort(
  address: { readonly host: string; readonly port: number | undefined },
  port: number,
): HostPort {
  return { host: address.host, port: address.port ?? port }
}
