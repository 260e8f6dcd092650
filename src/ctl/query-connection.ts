// The connection of `query`: straight to a member's server, by libpq's own variables and files.

import { access } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { type ConnectionOptions, getCACertificates } from 'node:tls'
import pg from 'pg'
import type { HostPort } from '../cluster/member.ts'
import type { Clock } from '../platform/clock.ts'
import { Deadline } from '../platform/deadline.ts'
import { UserError } from '../platform/errors.ts'
import { isAboutEncryption, sqlStateOf } from '../postgres/connection.ts'
import { type TlsMode, tlsOptions } from '../postgres/connection-tls.ts'

export interface Login {
  readonly username: string | undefined
  readonly database: string | undefined
  /** Undefined: PGPASSWORD, or the password file. */
  readonly password: string | undefined
}

/** Whose variables and whose `.postgresql` count. */
export interface Surroundings {
  readonly env: Readonly<NodeJS.ProcessEnv>
  readonly home: string
  readonly clock: Clock
}

const CONNECT_MS = 5_000
const APPLICATION_NAME = 'Patroni ctl'

/** In which order a server is tried, by `sslmode`. */
const WAYS: Readonly<Record<string, readonly TlsMode[]>> = {
  disable: ['plain'],
  allow: ['plain', 'tls'],
  prefer: ['tls', 'plain'],
  require: ['tls'],
  'verify-ca': ['tls'],
  'verify-full': ['tls'],
}

/** Words of libpq about encryption, their variables, and the files in `~/.postgresql` that count when they are there. */
const FILES = [
  ['sslrootcert', 'PGSSLROOTCERT', 'root.crt'],
  ['sslcert', 'PGSSLCERT', 'postgresql.crt'],
  ['sslkey', 'PGSSLKEY', 'postgresql.key'],
  ['sslcrl', 'PGSSLCRL', 'root.crl'],
] as const
type FileWord = (typeof FILES)[number][0]

/** In place of a file: whom this system trusts. */
const SYSTEM = 'system'

/** Connects as psql would. Rejects with the server's error, or with UserError for words that cannot be followed. */
export async function connectMember(
  address: HostPort,
  { username, database, password }: Login,
  surroundings: Surroundings,
): Promise<pg.Client> {
  const { env } = surroundings
  const sslmode = set(env['PGSSLMODE']) ?? (env['PGSSLROOTCERT'] === SYSTEM ? 'verify-full' : 'prefer')
  const ways = WAYS[sslmode]
  if (ways === undefined)
    throw new UserError(`PGSSLMODE: invalid value "${sslmode}": expected ${Object.keys(WAYS).join(', ')}`)
  // Anybody can have a certificate that this system trusts: without the host's name it proves nothing.
  if (env['PGSSLROOTCERT'] === SYSTEM && sslmode !== 'verify-full')
    throw new UserError(`PGSSLMODE: "${sslmode}" is too weak beside PGSSLROOTCERT=${SYSTEM}: use verify-full`)
  const ssl = ways.includes('tls') ? await encryption(sslmode, surroundings) : false
  const user = username ?? env['PGUSER'] ?? userInfo().username
  const settings: pg.ClientConfig = {
    ...address,
    user,
    database: database ?? env['PGDATABASE'] ?? user,
    connectionTimeoutMillis: CONNECT_MS,
    fallback_application_name: APPLICATION_NAME,
    types: { getTypeParser: () => (value: string) => value },
    ...(password === undefined ? {} : { password }),
  }
  let told: unknown
  for (const way of ways) {
    try {
      return await attempt({ ...settings, ssl: way === 'tls' && ssl })
    } catch (error) {
      if (sqlStateOf(told) === undefined) told = error
      if (!isAboutEncryption(error)) throw error
    }
  }
  throw told
}

async function attempt(settings: pg.ClientConfig): Promise<pg.Client> {
  const client = new pg.Client(settings)
  client.on('error', () => {})
  try {
    await client.connect()
    return client
  } catch (error) {
    await client.end().catch(() => {})
    throw error
  }
}

/** Whom we trust and what we show. */
async function encryption(sslmode: string, { env, home, clock }: Surroundings): Promise<ConnectionOptions> {
  const found: Partial<Record<FileWord, string>> = {}
  for (const [word, variable, name] of FILES) {
    const path = set(env[variable]) ?? join(home, '.postgresql', name)
    if (path !== SYSTEM && (await isThere(path))) found[word] = path
    else if (word === 'sslrootcert' && path !== SYSTEM && sslmode.startsWith('verify'))
      throw new UserError(
        `root certificate file "${path}" does not exist: give it, or PGSSLROOTCERT=${SYSTEM}, or another PGSSLMODE`,
      )
    else if (word === 'sslkey' && found.sslcert !== undefined)
      throw new UserError(`certificate present, but not private key file "${path}"`)
  }
  const directory = set(env['PGSSLCRLDIR'])
  const words = { sslmode, ...found, ...(directory === undefined ? {} : { sslcrldir: directory }) }
  const options = await tlsOptions(words, Deadline.in(clock, CONNECT_MS))
  return env['PGSSLROOTCERT'] === SYSTEM ? { ...options, ca: getCACertificates('system') } : options
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

function set(value: string | undefined): string | undefined {
  return value === '' ? undefined : value
}
