// Raw sockets for the tests of the proxy: both ends of a connection by hand, and a client that speaks just enough of the
// protocol to stand in any of its states.

import { connect, createServer, type Server, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { HostPort } from '../../src/cluster/member.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { cancelRequest, message, ready, sslRequest, startup } from '../unit/proxy/bytes.ts'

/** For what takes milliseconds: a busy machine may stop for seconds. */
const WITHIN_MS = 20_000

/** A socket that remembers all that happened to it. */
export class Watched {
  readonly socket: Socket
  #chunks: Buffer[] = []
  bytes = 0
  ends = 0
  /** Monotonic time of the end. */
  endedAtMs = Number.NaN
  closes = 0
  errors: string[] = []

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', chunk => {
      this.#chunks.push(chunk)
      this.bytes += chunk.length
    })
    socket.on('end', () => {
      this.ends += 1
      this.endedAtMs = performance.now()
    })
    socket.on('error', (error: NodeJS.ErrnoException) => void this.errors.push(error.code ?? error.message))
    socket.on('close', () => {
      this.closes += 1
    })
  }

  get received(): Buffer {
    return Buffer.concat(this.#chunks)
  }

  get text(): string {
    return this.received.toString('latin1')
  }

  /** Forgets what was received so far. */
  clear(): void {
    this.#chunks = []
    this.bytes = 0
  }

  until(what: string, seen: () => boolean, withinMs = WITHIN_MS): Promise<boolean> {
    return waitFor(what, { withinMs, everyMs: 5 }, note => {
      note(`${this.bytes} bytes, ends ${this.ends}, closes ${this.closes}, errors ${this.errors.join()}`)
      return seen()
    })
  }

  untilText(part: string, withinMs = WITHIN_MS): Promise<boolean> {
    return this.until(JSON.stringify(part), () => this.text.includes(part), withinMs)
  }

  untilEnd(withinMs = WITHIN_MS): Promise<boolean> {
    return this.until('the end', () => this.ends + this.errors.length > 0 || this.closes > 0, withinMs)
  }
}

/** A connection made by hand; keeps its own half open when the other side closes. */
export async function dial(address: HostPort): Promise<Watched> {
  const watched = new Watched(connect({ ...address, allowHalfOpen: true, noDelay: true }))
  await new Promise<void>((resolve, reject) => {
    watched.socket.once('connect', resolve)
    watched.socket.once('error', reject)
  })
  return watched
}

/** A listening socket whose connections the test plays itself. */
export class Stage {
  readonly address: HostPort
  readonly guests: Watched[] = []
  readonly #server: Server

  private constructor(server: Server, address: HostPort) {
    this.#server = server
    this.address = address
    server.on('connection', socket => this.guests.push(new Watched(socket)))
  }

  static async open(host = '127.0.0.1'): Promise<Stage> {
    const server = createServer({ allowHalfOpen: true, noDelay: true })
    await new Promise<void>(resolve => server.listen(0, host, resolve))
    const bound = server.address()
    if (bound === null || typeof bound === 'string') throw new Error('no port')
    return new Stage(server, { host, port: bound.port })
  }

  /** The connection with this number, counted from 0. */
  async guest(index: number): Promise<Watched> {
    await waitFor(
      `connection ${index}`,
      { withinMs: WITHIN_MS, everyMs: 5 },
      () => this.guests.length > index,
    )
    const guest = this.guests[index]
    if (guest === undefined) throw new Error('no such connection')
    return guest
  }

  close(): void {
    this.#server.close()
    for (const { socket } of this.guests) socket.destroy()
  }
}

/** A client that has sent its startup message. */
export async function startSession(address: HostPort, user = 'postgres'): Promise<Watched> {
  const client = await dial(address)
  client.socket.write(startup({ user, database: 'postgres' }))
  return client
}

/** A clear-text client that is ready for queries (the server asks for no password). */
export async function login(address: HostPort, user = 'postgres'): Promise<Watched> {
  const client = await startSession(address, user)
  await client.until('ReadyForQuery or the end', () => isReady(client) || client.ends > 0)
  if (!isReady(client)) throw new Error(`no session: ${client.text}`)
  return client
}

async function encrypted(address: HostPort): Promise<Watched> {
  const raw = await dial(address)
  raw.socket.write(sslRequest)
  await raw.untilText('S')
  raw.socket.removeAllListeners('data')
  return new Watched(connectTls({ socket: raw.socket, rejectUnauthorized: false }))
}

/** The same inside TLS; the certificate is not checked. */
export async function loginTls(address: HostPort, user = 'postgres'): Promise<Watched> {
  const client = await encrypted(address)
  client.socket.write(startup({ user, database: 'postgres' }))
  await client.until('ReadyForQuery', () => isReady(client))
  return client
}

/** Sends a simple query and does not wait. */
export function ask(client: Watched, sql: string): void {
  client.clear()
  client.socket.write(message('Q', `${sql}\0`))
}

/** Sends a simple query and waits until the server is ready again. */
export async function query(client: Watched, sql: string): Promise<string> {
  ask(client, sql)
  await client.until(`the answer to ${sql}`, () => isReady(client))
  return client.text
}

/** Has the server said last that it is ready for queries? */
export function isReady(client: Watched): boolean {
  return client.text.slice(-6, -1) === ready.toString('latin1').slice(0, 5)
}

/** What a server told a client in BackendKeyData, for a cancel request. */
export function cancelKey(client: Watched): { processId: number; secret: Buffer } {
  const at = client.received.indexOf(Buffer.from([0x4b, 0, 0, 0, 12]))
  return {
    processId: client.received.readUInt32BE(at + 5),
    secret: client.received.subarray(at + 9, at + 13),
  }
}

/** Sends a packet inside TLS and waits until the other side has closed. */
export async function sendEncrypted(address: HostPort, packet: Buffer): Promise<void> {
  const sender = await encrypted(address)
  sender.socket.write(packet)
  await sender.untilEnd()
  sender.socket.destroy()
}

/** A long statement of this session ends with 57014 when a cancel request with its key comes to `address`; ends the session. */
export async function cancelsStatement(client: Watched, address: HostPort): Promise<void> {
  const { processId, secret } = cancelKey(client)
  // The server sends a notice at once: from then on there is something to cancel.
  ask(client, "DO $$ BEGIN RAISE NOTICE 'begun'; PERFORM pg_sleep(60); END $$")
  await client.untilText('Mbegun')
  const cancel = await dial(address)
  cancel.socket.write(cancelRequest(processId, secret))
  await cancel.untilEnd()
  await client.untilText('57014')
  client.socket.destroy()
}

/** SQLSTATE of the last error that a client got; undefined when it got none. */
export function sqlStateOf(text: string): string | undefined {
  return [...text.matchAll(/\0C(\w{5})\0/g)].at(-1)?.[1]
}
