// Real PostgreSQL servers for the tests of src/postgres: a directory, free ports, an unprivileged user, and an end that
// leaves nothing behind.

import { chown, mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ServerSettings } from '../../src/config/agent/types.ts'
import { serverAccount } from '../../src/demo/account.ts'
import { realClock } from '../../src/platform/clock.ts'
import { Deadline } from '../../src/platform/deadline.ts'
import type { Logger } from '../../src/platform/log.ts'
import { Connection, type Row } from '../../src/postgres/connection.ts'
import type { ServerConfig } from '../../src/postgres/context.ts'
import type { ServerFacts, Upstream } from '../../src/postgres/port.ts'
import { LocalServer } from '../../src/postgres/server.ts'

const SUPERUSER = { username: 'postgres', password: 'super-secret', options: {} }
const REPLICATION = { username: 'repl', password: 'repl:with\\signs', options: {} }
const REWIND = { username: 'rewinder', password: 'rewind secret', options: {} }

/** One server with its configuration. Several LocalServers may stand for one agent before and after a restart. */
export interface Member {
  readonly config: ServerConfig
  readonly settings: ServerSettings
  readonly server: LocalServer
  readonly upstream: Upstream
  readonly log: readonly string[]
}

export const within = (durationMs: number) => Deadline.in(realClock, durationMs)

/** PostgreSQL refuses root: the test's process becomes the harness's ordinary user before it starts anything. */
async function becomeOrdinaryUser(directory: string): Promise<void> {
  if (process.getuid?.() !== 0) return
  const { uid, gid } = await serverAccount()
  await chown(directory, uid, gid)
  process.setgroups?.([gid])
  process.setgid?.(gid)
  process.setuid?.(uid)
}

export class Rig {
  readonly directory: string
  readonly #members: Member[] = []

  private constructor(directory: string) {
    this.directory = directory
  }

  static async open(): Promise<Rig> {
    const directory = await mkdtemp(join(tmpdir(), 'pgherd-postgres-'))
    await becomeOrdinaryUser(directory)
    process.env['HOME'] = directory
    process.env['TMPDIR'] = directory
    return new Rig(directory)
  }

  /** A member whose data directory does not exist yet. */
  async member(name: string, changes: Partial<ServerSettings> = {}): Promise<Member> {
    const port = await freePort()
    const dataDir = join(this.directory, name)
    const config: ServerConfig = {
      name,
      scope: 'test',
      file: 'patroni.yml',
      bootstrap: { dcs: {}, initdb: [], pgHba: [], postBootstrap: undefined },
      postgres: {
        listenAddresses: '127.0.0.1',
        port,
        connectAddress: { host: '127.0.0.1', port },
        dataDir,
        binDir: undefined,
        database: 'postgres',
        pgpass: undefined,
        superuser: SUPERUSER,
        replication: REPLICATION,
        rewind: REWIND,
        basebackup: [{ checkpoint: 'fast' }],
        raw: {},
      },
    }
    return this.build(config, { ...this.#settings(), ...changes })
  }

  /** A LocalServer for a configuration: a new agent, or the same one after its restart. */
  build(config: ServerConfig, settings: ServerSettings): Member {
    const log: string[] = []
    const server = new LocalServer({ config, settings, clock: realClock, log: recording(log) })
    const member: Member = {
      config,
      settings,
      server,
      upstream: { member: config.name, address: config.postgres.connectAddress },
      log,
    }
    this.#members.push(member)
    return member
  }

  async cleanUp(): Promise<void> {
    for (const { server } of this.#members) {
      await server.status(within(5000))
      while ((await server.killFamily()) > 0) await realClock.sleep(20)
      await server.close()
    }
    await rm(this.directory, { recursive: true, force: true })
  }

  #settings(): ServerSettings {
    return {
      controlled: {
        wal_level: 'replica',
        hot_standby: 'on',
        max_connections: '40',
        max_wal_senders: '10',
        max_prepared_transactions: '0',
        max_locks_per_transaction: '64',
        track_commit_timestamp: 'off',
        max_replication_slots: '10',
        max_worker_processes: '8',
        wal_log_hints: 'on',
      },
      parameters: {
        unix_socket_directories: this.directory,
        fsync: 'off',
        shared_buffers: '16MB',
        autovacuum: 'off',
        wal_keep_size: '256MB',
        // A test waits for a standby that first asked a server that was down.
        wal_retrieve_retry_interval: '200ms',
      },
      recovery: {},
      pgHba: [
        'local all all trust',
        'host all all 127.0.0.1/32 scram-sha-256',
        'host replication repl 127.0.0.1/32 scram-sha-256',
      ],
      pgIdent: undefined,
      usePgRewind: true,
      useSlots: true,
      removeDataDirectoryOnRewindFailure: false,
      removeDataDirectoryOnDivergedTimelines: false,
      scripts: { callbacks: {}, prePromote: undefined, beforeStop: undefined },
      warnings: [],
    }
  }
}

/** Runs one statement on a member as superuser, like an application would. */
export async function sql(member: Member, statement: string, durationMs = 10_000): Promise<readonly Row[]> {
  const connection = await connectTo(member)
  try {
    return await connection.query(statement, within(durationMs))
  } finally {
    connection.close()
  }
}

export function connectTo(member: Member): Promise<Connection> {
  const { connectAddress, superuser } = member.config.postgres
  const target = {
    door: connectAddress,
    who: superuser,
    database: 'postgres',
    isReplication: false,
    session: {},
  }
  return Connection.open(target, within(5000))
}

export async function factsOf(member: Member): Promise<ServerFacts> {
  const status = await member.server.status(within(5000))
  if (status.facts === undefined) throw new Error(`${member.config.name} tells no facts: ${status.trouble}`)
  return status.facts
}

/** Waits until `isTrue` says so; fails with `what` and the member's log after the deadline. */
export async function until(
  what: string,
  member: Member,
  isTrue: () => Promise<boolean>,
  durationMs = 15_000,
): Promise<void> {
  const by = within(durationMs)
  while (!(await isTrue().catch(() => false))) {
    if (by.isOver()) throw new Error(`${what}: not within ${durationMs} ms\n${member.log.join('\n')}`)
    await realClock.sleep(50)
  }
}

export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise(resolve => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

function recording(lines: string[]): Logger {
  const keep = (level: string) => (text: string) => void lines.push(`${level}: ${text}`)
  const log: Logger = {
    debug: keep('debug'),
    info: keep('info'),
    warning: keep('warning'),
    error: keep('error'),
    critical: keep('critical'),
    with: () => log,
  }
  return log
}
