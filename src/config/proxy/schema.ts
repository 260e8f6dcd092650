// The proxy's file as a schema. Each message says what was expected; file, line and key path are added by the loader.

import { z } from 'zod'
import { parseRange } from './access.ts'
import { parseBalance, parseBind, parseDurationMs, parseRestOrigin, parseSizeBytes } from './values.ts'

/** Of a proxy: more than any machine has use for. */
export const THREADS_MAX = 64

const text = z.string({ error: 'expected text' }).min(1, { error: 'expected text that is not empty' })
const flag = z.boolean({ error: 'expected true or false' })

/** Text that `parse` understands, and what else to say about it. */
function parsed<T>(parse: (value: string) => T | undefined, expected: string) {
  return z.unknown().transform((value, context): T => {
    const result = typeof value === 'string' ? parse(value) : undefined
    if (result !== undefined) return result
    context.issues.push({ code: 'custom', message: `expected ${expected}`, input: value })
    return z.NEVER
  })
}

function duration(atLeastMs: number, atMostMs: number) {
  const inRange = (value: string) => {
    const ms = parseDurationMs(value)
    return ms !== undefined && ms >= atLeastMs && ms <= atMostMs ? ms : undefined
  }
  return parsed(inRange, `a duration from ${atLeastMs}ms to ${atMostMs}ms, such as 500ms or 10s`)
}

function whole(from: number, to: number) {
  const expected = { error: `expected a whole number from ${from} to ${to}` }
  return z.number(expected).int(expected).min(from, expected).max(to, expected)
}

function oneOf<const T extends readonly [string, ...string[]]>(...words: T) {
  return z.enum(words, { error: `expected ${words.join(' or ')}` })
}

const bindExpected = "expected an address with a port, such as '*:5000' or 10.0.0.4:5000"
const bind = parsed(parseBind, bindExpected.slice('expected '.length))
const section = { error: 'expected a mapping of settings' }

/** Read by the loader with the rules that the agent's file has. */
const etcd = z.record(z.string(), z.unknown(), section)

/** Read by the loader, name by name. */
const vip = z.record(z.string(), z.unknown(), section)

const patroni = z
  .array(parsed(parseRestOrigin, "the address of a member's REST server, such as http://10.0.0.1:8008"), {
    error: 'expected a list of addresses, such as [http://10.0.0.1:8008]',
  })
  .min(1, { error: 'expected at least one address' })

const onNoBackend = z.strictObject(
  {
    hold: duration(0, 600_000).default(10_000),
    max_held: whole(0, 1_000_000).default(1000),
    // biome-ignore lint/suspicious/noThenProperty: the key's name in the file; the object is never awaited.
    then: oneOf('error', 'close', 'stop-listening').default('error'),
    plain_errors: flag.default(false),
    release_rate: z
      .union([whole(1, 1_000_000), z.literal('unlimited').transform(() => Number.POSITIVE_INFINITY)], {
        error: 'expected a whole number from 1 to 1000000, or unlimited',
      })
      .default(100),
  },
  section,
)

/** A duration, or `never`. */
function orNever(atLeastMs: number, atMostMs: number) {
  return z.union([duration(atLeastMs, atMostMs), z.literal('never').transform(() => undefined)], {
    error: `expected a duration from ${atLeastMs}ms to ${atMostMs}ms, or never`,
  })
}

const DAY_MS = 86_400_000
const idle = orNever(1000, 24 * DAY_MS).optional()

const timeouts = z.strictObject(
  {
    login: duration(100, DAY_MS).default(15_000),
    connect: duration(50, 600_000).default(4_000),
    queue: duration(0, 600_000).default(10_000),
    client: idle,
    server: idle,
    client_fin: idle,
    server_fin: idle,
    client_unacked: orNever(1000, 24 * DAY_MS).prefault('60s'),
    server_unacked: orNever(1000, 24 * DAY_MS).prefault('60s'),
  },
  section,
)

const networks = z.array(parsed(parseRange, 'a network such as 10.0.0.0/8 or 2001:db8::/32'), {
  error: 'expected a list of networks',
})

const access = z.strictObject(
  {
    allow: networks.optional(),
    deny: networks.optional(),
    per_source_rate: whole(1, 1_000_000).optional(),
    rate: whole(1, 1_000_000).optional(),
  },
  section,
)

const filter = z.strictObject(
  {
    sync: oneOf('any', 'sync', 'async').default('any'),
    tags: z.record(z.string(), z.union([text, flag, z.number()]).transform(String), section).default({}),
    max_lag: parsed(parseSizeBytes, 'a size such as 16MB').optional(),
    max_lag_time: duration(100, DAY_MS).optional(),
    streaming_only: flag.default(false),
  },
  section,
)

const server = z.strictObject(
  {
    address: parsed(parseBind, 'an address with a port, such as 10.0.0.1:5432').refine(
      address => address.host !== undefined,
      { error: 'expected an address with a port, such as 10.0.0.1:5432' },
    ),
    weight: whole(0, 256).default(1),
    max_connections: whole(1, 1_000_000).optional(),
    backup: flag.default(false),
    slow_start: duration(0, DAY_MS).default(0),
    check: oneOf('tcp', 'postgres', 'none').default('postgres'),
  },
  section,
)

export const listenerSchema = z.strictObject(
  {
    bind: z.union([bind, z.array(bind).min(1)], { error: bindExpected }).optional(),
    pool: oneOf('leader', 'replica', 'any', 'standby-leader', 'servers').optional(),
    fallback: oneOf('leader', 'none').default('leader'),
    filter: filter.prefault({}),
    balance: parsed(parseBalance, 'roundrobin, leastconn, source, first or random(N)').prefault('roundrobin'),
    max_connections: whole(1, 1_000_000).default(10_000),
    on_no_backend: onNoBackend.prefault({}),
    timeouts: timeouts.prefault({}),
    access: access.prefault({}),
    accept_proxy: flag.default(false),
    send_proxy: oneOf('none', 'v1', 'v2').default('none'),
    source: text.optional(),
    server_connections: whole(1, 1_000_000).optional(),
    max_queue: whole(0, 1_000_000).optional(),
    retries: whole(0, 100).default(3),
    keepalive: orNever(1000, DAY_MS).prefault('30s'),
    cut_after: orNever(0, DAY_MS).prefault('30s'),
    shed: orNever(0, DAY_MS).prefault('60s'),
    servers: z.record(z.string(), server, section).optional(),
  },
  section,
)

const checks = z.strictObject(
  {
    interval: duration(50, 60_000).default(500),
    timeout: duration(50, 60_000).default(500),
    rise: whole(1, 100).default(1),
    fall: whole(1, 100).default(2),
    fast_interval: duration(20, 60_000).default(250),
    down_interval: duration(50, 600_000).optional(),
    ping_user: z
      .union([text, z.literal(false)], { error: 'expected a role name, or false' })
      .default('pgherd'),
    verify: flag.default(true),
    cacert: text.optional(),
    cert: text.optional(),
    key: text.optional(),
  },
  section,
)

/** The whole file. `etcd` and `patroni` exclude each other: the loader checks that. */
export const proxySchema = z.strictObject(
  {
    scope: text,
    namespace: text.default('/service/'),
    name: text.optional(),
    etcd: etcd.optional(),
    patroni: patroni.optional(),
    listeners: z.record(z.string(), listenerSchema, section).optional(),
    admin: z.strictObject({ bind: bind.optional() }, section).prefault({}),
    checks: checks.prefault({}),
    on_dcs_loss: oneOf('keep', 'close').default('keep'),
    data_plane: oneOf('node').default('node'),
    relay: oneOf('auto', 'net', 'handle').default('auto'),
    threads: whole(1, THREADS_MAX).default(1),
    log: z
      .strictObject(
        {
          type: oneOf('plain', 'json').default('plain'),
          level: oneOf('debug', 'info', 'warning', 'error').default('info'),
        },
        section,
      )
      .prefault({}),
    events_file: text.optional(),
    vip: vip.optional(),
  },
  section,
)

export type ProxyFile = z.output<typeof proxySchema>
export type ListenerFile = z.output<typeof listenerSchema>
