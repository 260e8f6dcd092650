// Texts with a form of their own: durations, addresses to listen on, URLs. Pure.

import type { Balance, Bind } from './types.ts'

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, min: 60_000, h: 3_600_000 }

/** Milliseconds of `500ms`, `10s`, `1.5s`, `2m`, `1h`; undefined when it is no duration. */
export function parseDurationMs(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|min|m|h)$/.exec(text.trim())
  const unitMs = UNIT_MS[match?.[2] ?? '']
  return match === null || unitMs === undefined ? undefined : Math.round(Number(match[1]) * unitMs)
}

const UNIT_BYTES: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1024,
  KB: 1024,
  MB: 1024 ** 2,
  GB: 1024 ** 3,
}

/** Bytes of `16MB`, `1GB`, `512kB`; undefined when it is no size. */
export function parseSizeBytes(text: string): number | undefined {
  const match = /^(\d{1,9})\s*(B|kB|KB|MB|GB)$/.exec(text.trim())
  return match === null ? undefined : Number(match[1]) * (UNIT_BYTES[match[2] ?? ''] ?? 1)
}

/** Reads `roundrobin`, `leastconn`, `source`, `first`, `random`, `random(3)`; undefined when it is none. */
export function parseBalance(text: string): Balance | undefined {
  const match = /^(?:(roundrobin|leastconn|source|first)|random(?:\((\d{1,3})\))?)$/.exec(text.trim())
  if (match === null) return undefined
  const kind = match[1]
  if (kind === 'roundrobin' || kind === 'leastconn' || kind === 'source' || kind === 'first') return { kind }
  return { kind: 'random', draws: Math.max(1, Number(match[2] ?? 2)) }
}

/** Reads `*:5000`, `:5000`, `10.0.0.4:5000`, `[::1]:5000`; undefined when it is no address with a port. */
export function parseBind(text: string): Bind | undefined {
  const match = /^(\*|\[[0-9a-fA-F:.]+\]|[^\s:[\]*]*):(\d{1,5})$/.exec(text.trim())
  if (match === null) return undefined
  const port = Number(match[2])
  if (port > 65535) return undefined
  const host = (match[1] ?? '').replace(/^\[|\]$/g, '')
  return { host: host === '' || host === '*' ? undefined : host, port }
}

/** Origin of `http://host:8008`, `https://host` or bare `host:8008`; the port defaults to 8008. */
export function parseRestOrigin(text: string): string | undefined {
  const trimmed = text.trim()
  const url = /^https?:\/\//.test(trimmed) ? trimmed : `http://${trimmed}`
  if (!URL.canParse(url)) return undefined
  const { protocol, hostname, port, pathname, username } = new URL(url)
  if (hostname === '' || username !== '' || !/^(?:\/|\/patroni\/?)$/.test(pathname)) return undefined
  const given = /:(\d+)(?:\/.*)?$/.exec(trimmed.replace(/^https?:\/\//, ''))?.[1]
  return `${protocol}//${hostname}:${given ?? (port === '' ? '8008' : port)}`
}
