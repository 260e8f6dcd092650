// The routers of the raw load: HAProxy and pgherd with one and the same haproxy.cfg in front of the raw peer.

import { chown, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import type { Host } from '../../src/demo/host.ts'
import type { Layout } from '../../src/demo/loopback.ts'
import type { Server } from '../../src/demo/server.ts'
import { waitFor } from '../../src/demo/wait.ts'
import type { Target } from './processes.ts'
import { RawLoad } from './processes.ts'
import { greeting, startup } from './protocol.ts'

/** One way from the client to the peer. */
export interface RawPath {
  readonly name: string
  readonly target: Target
  readonly router: Server | undefined
}

const PORT = 5000
const READY_WITHIN_MS = 20_000

export interface RawStage {
  readonly load: RawLoad
  readonly paths: readonly RawPath[]
}

/** Starts both ends and fresh routers between them: all, or those that are `wanted`. */
export async function openRaw(
  layout: Layout,
  program: readonly string[],
  threads: number,
  wanted?: readonly string[],
): Promise<RawStage> {
  const pgherd =
    (relay: string, count = 1) =>
    (file: string) => [...program, 'proxy', '--relay', relay, '--threads', `${count}`, file]
  const known: RouterRecipe[] = [
    { name: 'haproxy', host: 'raw-haproxy', command: file => ['haproxy', '-db', '-f', file] },
    { name: 'pgherd', host: 'raw-pgherd', command: pgherd('net') },
    { name: 'pgherd, handles', host: 'raw-handles', command: pgherd('handle') },
  ]
  if (threads > 1)
    known.push({ name: 'pgherd, threads', host: 'raw-threads', command: pgherd('handle', threads) })
  const recipes = known.filter(({ name }) => wanted?.includes(name) ?? true)
  const names = recipes.map(({ name }) => name)
  const load = await RawLoad.start((await layout.host('raw-peer')).address, names)
  const direct = { name: 'direct', target: { host: load.host, port: load.port }, router: undefined }
  const paths: RawPath[] = [direct]
  for (const recipe of recipes) paths.push(await startRouter(await layout.host(recipe.host), load, recipe))
  for (const { name, target } of paths) await opened(name, target)
  return { load, paths }
}

interface RouterRecipe {
  readonly name: string
  /** The host's name. */
  readonly host: string
  readonly command: (file: string) => readonly string[]
}

async function startRouter(
  host: Host,
  { host: peer, port, checkPorts }: RawLoad,
  { name, command }: RouterRecipe,
): Promise<RawPath> {
  const text = [
    ...['global', '    maxconn 9500', '    nbthread 1', 'defaults', '    mode tcp', '    retries 2'],
    ...['    timeout client 30m', '    timeout connect 4s', '    timeout server 30m', '    timeout check 1s'],
    ...[
      'listen raw',
      `    bind ${host.address}:${PORT}`,
      '    maxconn 9500',
      '    option httpchk OPTIONS /primary',
    ],
    '    http-check expect status 200',
    '    default-server inter 200ms fall 1 rise 1 on-marked-down shutdown-sessions',
    `    server peer ${peer}:${port} check port ${checkPorts[name]}`,
  ]
  const file = host.path('haproxy.cfg')
  await writeFile(file, `${text.join('\n')}\n`, { mode: 0o600 })
  await chown(file, host.account.uid, host.account.gid)
  const router = host.server({ name: 'router', command: command(file) })
  await router.start()
  return { name, target: { host: host.address, port: PORT }, router }
}

async function opened(name: string, target: Target): Promise<void> {
  await waitFor(`a raw session through ${name}`, { withinMs: READY_WITHIN_MS }, () => canGreet(target))
}

/** Does the peer's greeting come? */
function canGreet({ host, port }: Target): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect({ host, port, timeout: 1000 })
    const finish = (isGreeted: boolean) => {
      socket.destroy()
      resolve(isGreeted)
    }
    socket.on('connect', () => socket.write(startup('echo')))
    socket.on('data', bytes => finish(bytes.subarray(0, 1).equals(greeting.subarray(0, 1))))
    for (const event of ['error', 'end', 'timeout'] as const) socket.on(event, () => finish(false))
  })
}
