// The proxy's file as a schema. Each message says what was expected; file, line and key path are added by the loader.

import { z } from 'zod'
import { parseBind, parseDurationMs, parseEtcdHost, parseRestOrigin } from './values.ts'

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

const bind = parsed(parseBind, "an address with a port, such as '*:5000' or 10.0.0.4:5000")
const section = { error: 'expected a mapping of settings' }

const hosts = z
  .union([z.array(text), text.transform(value => value.split(',').map(host => host.trim()))], {
    error: 'expected a list of host:port, or text with commas',
  })
  .refine(list => list.length > 0, { error: 'expected at least one host:port' })

const etcd = z
  .strictObject(
    {
      hosts,
      protocol: oneOf('http', 'https').default('http'),
      username: text.optional(),
      password: text.optional(),
      cacert: text.optional(),
      cert: text.optional(),
      key: text.optional(),
    },
    section,
  )
  .transform((value, context) => {
    const endpoints: string[] = []
    for (const [index, host] of value.hosts.entries()) {
      const endpoint = parseEtcdHost(host, value.protocol)
      if (endpoint !== undefined) endpoints.push(endpoint)
      else {
        context.issues.push({
          code: 'custom',
          message: 'expected host:port of etcd',
          input: host,
          path: ['hosts', index],
        })
      }
    }
    const { username, password, cacert, cert, key } = value
    return { endpoints, username, password, cacert, cert, key }
  })

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
    then: oneOf('error', 'close').default('error'),
    plain_errors: flag.default(false),
  },
  section,
)

export const listenerSchema = z.strictObject(
  {
    bind: bind.optional(),
    pool: oneOf('leader', 'replica').optional(),
    fallback: oneOf('leader', 'none').default('leader'),
    balance: oneOf('roundrobin').default('roundrobin'),
    max_connections: whole(1, 1_000_000).default(10_000),
    on_no_backend: onNoBackend.prefault({}),
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
    data_plane: oneOf('node').default('node'),
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
  },
  section,
)

export type ProxyFile = z.output<typeof proxySchema>
export type ListenerFile = z.output<typeof listenerSchema>
