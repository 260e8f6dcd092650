// The proxy as a program in front of played servers, at the limits of its host and of its servers: open files, a port that closes.

import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { createServer, type Server as NetServer, type Socket } from 'node:net'
import test, { after } from 'node:test'
import { parse, stringify } from 'yaml'
import type { Host } from '../../src/demo/host.ts'
import { freePort, LoopbackLayout } from '../../src/demo/loopback.ts'
import type { Server } from '../../src/demo/server.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { runChild } from '../../src/platform/child.ts'
import { realClock } from '../../src/platform/clock.ts'
import { Deadline } from '../../src/platform/deadline.ts'
import { makeWorkplace } from '../support/workplace.ts'
import { authOk, keyData, ready } from '../unit/proxy/bytes.ts'
import { login, sqlStateOf, startSession, type Watched } from './proxy-wire.ts'

const work = await makeWorkplace({ after })
const layout = new LoopbackLayout(work.data, work.logs)
const greeting = Buffer.concat([authOk, keyData(42, Buffer.from('0badcafe', 'hex')), ready])

/** A server that lets everybody in and answers what it gets. Its port can close without its sessions. */
class Echo {
  readonly host: string
  readonly port: number
  readonly sessions = new Set<Socket>()
  #server: NetServer | undefined

  private constructor(host: string, port: number) {
    this.host = host
    this.port = port
  }

  static async open(host: string): Promise<Echo> {
    const echo = new Echo(host, await freePort(host, 5432))
    await echo.listen()
    work.defer(async () => {
      echo.refuse()
      for (const socket of echo.sessions) socket.destroy()
    })
    return echo
  }

  get address(): string {
    return `${this.host}:${this.port}`
  }

  listen(): Promise<void> {
    this.#server = createServer(socket => {
      this.sessions.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => this.sessions.delete(socket))
      socket.once('data', () => {
        socket.write(greeting)
        socket.on('data', bytes => socket.write(bytes))
      })
    })
    return new Promise(resolve => this.#server?.listen(this.port, this.host, resolve))
  }

  /** The port refuses from now on; sessions go on. */
  refuse(): void {
    this.#server?.close()
  }
}

// As text: an object with a `then` looks like a promise.
const STOPS: unknown = parse('{ hold: 0s, then: stop-listening }')

interface Started {
  readonly host: Host
  readonly process: Server
  readonly ports: { readonly main: number; readonly admin: number }
}

/** The program with one listener in front of these servers; `alsoBind`: behind its main port, `limit`: of open files. */
async function start(
  name: string,
  { alsoBind = [], ...listener }: Readonly<Record<string, unknown> & { alsoBind?: readonly string[] }>,
  limit?: number,
): Promise<Started> {
  const host = await layout.host(name)
  work.defer(() => host.remove())
  const ports = { main: await freePort(host.address, 5500), admin: await freePort(host.address, 7000) }
  const file = host.path('proxy.yml')
  const bind = [`${host.address}:${ports.main}`, ...alsoBind]
  const listeners = { main: { bind, pool: 'servers', ...listener } }
  await writeFile(
    file,
    stringify({ scope: 'pgsql', listeners, admin: { bind: `${host.address}:${ports.admin}` } }),
  )
  const program = [...work.program, 'proxy', file]
  const command = limit === undefined ? program : ['prlimit', `--nofile=${limit}`, '--', ...program]
  const process = host.server({ name, command })
  await process.start()
  await waitFor(
    'the status port',
    { withinMs: 30_000 },
    async () => (await page(host, ports.admin)).length > 0,
  )
  return { host, process, ports }
}

async function page(host: Host, port: number, path = '/metrics'): Promise<string> {
  const response = await fetch(`http://${host.address}:${port}${path}`, { signal: AbortSignal.timeout(5000) })
  assert.equal(response.status, 200)
  return await response.text()
}

async function enter({ host, ports }: Started): Promise<Watched> {
  return await login({ host: host.address, port: ports.main })
}

/** Waits until new sessions get a server. */
function serves(started: Started): Promise<boolean> {
  return waitFor('a session', { withinMs: 30_000 }, async () => {
    const client = await enter(started)
    client.socket.destroy()
    return true
  })
}

function refuses(address: string, port: number): Promise<boolean> {
  return waitFor('the port to refuse', { withinMs: 30_000 }, async note => {
    const code = await startSession({ host: address, port }).then(
      client => {
        client.socket.destroy()
        return 'connected'
      },
      (error: NodeJS.ErrnoException) => error.code,
    )
    note(code ?? '')
    return code === 'ECONNREFUSED'
  })
}

async function echoes(client: Watched, word: string): Promise<void> {
  client.clear()
  client.socket.write(word)
  await client.untilText(word)
}

test('then: stop-listening closes the port while there is no server and opens it again, and sessions go on', async () => {
  const server = await Echo.open((await layout.host('echo1')).address)
  const started = await start('stops', {
    fallback: 'none',
    cut_after: 'never',
    on_no_backend: STOPS,
    servers: { a: { address: server.address, check: 'tcp' } },
  })
  const { host, ports } = started
  await serves(started)
  const old = await enter(started)
  server.refuse()
  await refuses(host.address, ports.main)
  await echoes(old, 'while it is closed')
  await server.listen()
  await serves(started)
  await echoes(old, 'after it was opened')
  old.socket.destroy()
})

test('of two ports that are opened again, one that another program has is tried until it is free', async t => {
  const server = await Echo.open((await layout.host('echo4')).address)
  const { address } = await layout.host('stops2')
  const second = await freePort(address, 5600)
  const started = await start('stops2', {
    alsoBind: [`${address}:${second}`],
    fallback: 'none',
    on_no_backend: STOPS,
    servers: { a: { address: server.address, check: 'tcp' } },
  })
  await serves(started)
  server.refuse()
  await refuses(address, second)
  await refuses(address, started.ports.main)
  const other = createServer(socket => void socket.destroy())
  t.after(() => other.close())
  await new Promise<void>(resolve => other.listen(started.ports.main, address, resolve))
  await server.listen()
  await waitFor('a session through the second port', { withinMs: 30_000 }, async () => {
    const client = await login({ host: address, port: second }).catch(() => undefined)
    client?.socket.destroy()
    return client !== undefined
  })
  await new Promise<void>(resolve => other.close(() => resolve()))
  await waitFor('a session through the first port', { withinMs: 30_000 }, async () => {
    const client = await enter(started).catch(() => undefined)
    client?.socket.destroy()
    return client !== undefined
  })
})

/** As a program that opens files would: the process has no descriptor left. */
async function limitFiles({ process }: Started, limit: number): Promise<void> {
  const words = ['--pid', String(process.pid), `--nofile=${limit}:4096`]
  await runChild('prlimit', words, { by: Deadline.in(realClock, 5000), env: globalThis.process.env })
}

test('with few open files the limit is lowered and told, clients beyond it get 53300, and the status port answers', async () => {
  const server = await Echo.open((await layout.host('echo2')).address)
  const servers = { a: { address: server.address, check: 'tcp' } }
  const started = await start('few', { max_connections: 5000, servers }, 800)
  const { host, ports } = started
  await serves(started)
  const limit = Number(
    /pgherd_proxy_sessions_max\{listener="main"\} (\d+)/.exec(await page(host, ports.admin))?.[1],
  )
  assert.ok(limit > 0 && limit < 400, `${limit}`)
  const clients: Watched[] = []
  for (let count = 0; count < limit; count += 1) clients.push(await enter(started))
  const late = await startSession({ host: host.address, port: ports.main })
  await late.untilEnd()
  assert.equal(sqlStateOf(late.text), '53300')
  assert.match(await page(host, ports.admin), /^pgherd_proxy_turned_away_total\{listener="main"\} 1$/m)
  for (const client of [...clients, late]) client.socket.destroy()
})

test('a process without a descriptor left goes on with the sessions that it has, and takes new ones when there are some again', async () => {
  const server = await Echo.open((await layout.host('echo3')).address)
  const started = await start('none', { servers: { a: { address: server.address, check: 'tcp' } } }, 4096)
  const { host, ports } = started
  await serves(started)
  const old = await enter(started)
  await limitFiles(started, 10)
  const lost = await startSession({ host: host.address, port: ports.main })
  await echoes(old, 'meanwhile')
  lost.socket.destroy()
  await limitFiles(started, 4096)
  await serves(started)
  await echoes(old, 'afterwards')
  old.socket.destroy()
})

test('signals of a reload are told as what they are not and harm nobody; SIGUSR1 opens no port and stops in order', async () => {
  const server = await Echo.open((await layout.host('echo4')).address)
  const started = await start('signals', { servers: { a: { address: server.address, check: 'tcp' } } })
  const { process: proxy } = started
  await serves(started)
  const old = await enter(started)
  for (const name of ['SIGHUP', 'SIGUSR2'] as const) {
    process.kill(proxy.pid, name)
    await waitFor(`a line about ${name}`, { withinMs: 10_000 }, async () =>
      (await readFile(proxy.logFile, 'utf8')).includes(`${name}: this process does not read its file again`),
    )
    await echoes(old, `after ${name}`)
  }
  process.kill(proxy.pid, 'SIGUSR1')
  await old.untilEnd()
  assert.deepEqual(await proxy.exit, { code: 0, signal: undefined })
  assert.doesNotMatch(await readFile(proxy.logFile, 'utf8'), /Debugger|inspector/i)
})
