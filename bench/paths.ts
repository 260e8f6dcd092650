// The ways from a client to the server that are compared: direct, HAProxy, pgbouncer, pgherd over either of its relays.

import { chown, writeFile } from 'node:fs/promises'
import type { Cluster } from '../src/demo/cluster.ts'
import type { Host } from '../src/demo/host.ts'
import type { Layout } from '../src/demo/loopback.ts'
import type { Member } from '../src/demo/member.ts'
import { proxyOn } from '../src/demo/router.ts'
import type { Server } from '../src/demo/server.ts'
import { queryOnce, type SqlTarget } from '../src/demo/sql.ts'
import { waitFor } from '../src/demo/wait.ts'

/** One way to the server. `router` is the process in between, whose CPU time counts; none on the direct way. */
export interface Path {
  readonly name: string
  readonly target: SqlTarget
  readonly router: Server | undefined
}

const READY_WITHIN_MS = 20_000

/** All paths, in the order of the report; their routers run and answer. */
export async function openPaths(
  cluster: Cluster,
  member: Member,
  layout: Layout,
  program: readonly string[],
  threads: number,
): Promise<readonly Path[]> {
  const [proxy] = cluster.proxies
  if (proxy === undefined) throw new Error('the cluster has no proxy')
  const paths: Path[] = [
    { name: 'direct', target: member.direct, router: undefined },
    await openHaproxy(await layout.host('haproxy'), member),
    await openPgbouncer(await layout.host('pgbouncer'), member),
    { name: 'pgherd', target: proxy.write, router: proxy.server },
    await openHandles(await layout.host('handles'), cluster, program, 1),
  ]
  if (threads > 1) paths.push(await openHandles(await layout.host('threads'), cluster, program, threads))
  await Promise.all(paths.map(opened))
  return paths
}

/** Our proxy once more, on the TCP handles below node:net. */
async function openHandles(
  host: Host,
  { scope, etcd }: Cluster,
  program: readonly string[],
  threads: number,
): Promise<Path> {
  const proxy = await proxyOn(host, { scope, program, etcd: etcd.endpoints }, { relay: 'handle', threads })
  await proxy.server.start()
  return {
    name: threads > 1 ? 'pgherd, threads' : 'pgherd, handles',
    target: proxy.write,
    router: proxy.server,
  }
}

/** HAProxy with the settings that people use in front of Patroni, on one thread: the base of all ratios. */
async function openHaproxy(host: Host, member: Member): Promise<Path> {
  const port = 5000
  const { address } = member.host
  const { postgresPort, restPort } = member.config
  const text = [
    ...['global', '    maxconn 400', '    nbthread 1', 'defaults', '    mode tcp', '    retries 2'],
    ...['    timeout client 30m', '    timeout connect 4s', '    timeout server 30m', '    timeout check 5s'],
    ...['listen pgsql', `    bind ${host.address}:${port}`, '    option httpchk OPTIONS /primary'],
    '    http-check expect status 200',
    '    default-server inter 3s fall 3 rise 2 on-marked-down shutdown-sessions',
    `    server ${member.name} ${address}:${postgresPort} maxconn 100 check port ${restPort}`,
  ]
  return startRouter(host, member, port, 'haproxy', {
    file: 'haproxy.cfg',
    text: text.join('\n'),
    command: file => ['haproxy', '-db', '-f', file],
  })
}

/**
 * pgbouncer that keeps one server connection for each client's whole session, and for no other client (a lifetime of 0: "used
 * only once, then closed"): on every other way each run of pgbench begins with new server processes, which must first touch
 * all of their memory.
 */
async function openPgbouncer(host: Host, member: Member): Promise<Path> {
  const port = 6432
  const { user, password } = member.direct
  const { address } = member.host
  const text = [
    '[databases]',
    `postgres = host=${address} port=${member.config.postgresPort} user=${user} password='${password}'`,
    '[pgbouncer]',
    `listen_addr = ${host.address}`,
    `listen_port = ${port}`,
    'unix_socket_dir =',
    'auth_type = any',
    'pool_mode = session',
    'server_lifetime = 0',
    'max_client_conn = 400',
    'default_pool_size = 100',
    'ignore_startup_parameters = extra_float_digits',
  ]
  return startRouter(host, member, port, 'pgbouncer', {
    file: 'pgbouncer.ini',
    text: text.join('\n'),
    command: file => ['pgbouncer', '--quiet', file],
  })
}

interface RouterRecipe {
  readonly file: string
  readonly text: string
  readonly command: (file: string) => readonly string[]
}

async function startRouter(
  host: Host,
  member: Member,
  port: number,
  name: string,
  recipe: RouterRecipe,
): Promise<Path> {
  const file = host.path(recipe.file)
  await writeFile(file, `${recipe.text}\n`, { mode: 0o600 })
  await chown(file, host.account.uid, host.account.gid)
  const router = host.server({ name, command: recipe.command(file) })
  await router.start()
  return { name, target: { ...member.direct, host: host.address, port }, router }
}

/** A path is open when a statement comes back from a server that takes writes. Throws when two clients get one server process. */
async function opened({ name, target }: Path): Promise<void> {
  await waitFor(`a statement through ${name}`, { withinMs: READY_WITHIN_MS }, async () => {
    const [row] = await queryOnce<{ standby: boolean }>(target, 'SELECT pg_is_in_recovery() AS standby')
    return row?.standby === false
  })
  const [first, second] = [await serverProcess(target), await serverProcess(target)]
  if (first === second) throw new Error(`${name} keeps its server connections: its figures do not compare`)
}

async function serverProcess(target: SqlTarget): Promise<number | undefined> {
  const [row] = await queryOnce<{ pid: number }>(target, 'SELECT pg_backend_pid() AS pid')
  return row?.pid
}
