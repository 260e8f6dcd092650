// A TCP relay between a client and an etcd member: cut (connections refused and broken), mute (open but silent), slow.

import { connect, createServer, type Server, type Socket } from 'node:net'

export class Relay {
  readonly #server: Server
  readonly #target: { readonly host: string; readonly port: number }
  readonly #pairs = new Set<readonly [Socket, Socket]>()
  #port = 0
  #isMute = false
  #delayMs = 0
  #connections = 0
  #tap: (chunk: Buffer) => void = () => {}

  private constructor(host: string, port: number) {
    this.#target = { host, port }
    this.#server = createServer({ allowHalfOpen: false }, client => this.#join(client))
  }

  /** Listens on loopback, on a free port unless one is given. */
  static async to(host: string, port: number, listenPort = 0): Promise<Relay> {
    const relay = new Relay(host, port)
    relay.#port = listenPort
    await relay.#listen()
    return relay
  }

  get endpoint(): string {
    return `127.0.0.1:${this.#port}`
  }

  /** Connections accepted so far. */
  get connections(): number {
    return this.#connections
  }

  /** Shows each chunk that a client sends. */
  tap(onChunk: (chunk: Buffer) => void): void {
    this.#tap = onChunk
  }

  /** Breaks every connection and lets new ones in. */
  drop(): void {
    this.#breakAll()
  }

  /** Breaks every connection and refuses new ones until `heal`. */
  async cut(): Promise<void> {
    const closed = new Promise(resolve => this.#server.close(resolve))
    this.#breakAll()
    await closed
  }

  /** Keeps connections open and lets nothing through, as a host that vanished does. */
  mute(): void {
    this.#isMute = true
    for (const pair of this.#pairs) for (const socket of pair) socket.pause()
  }

  /** Delays each chunk in each direction. */
  slow(delayMs: number): void {
    this.#delayMs = delayMs
  }

  async heal(): Promise<void> {
    this.#isMute = false
    for (const pair of this.#pairs) for (const socket of pair) socket.resume()
    if (!this.#server.listening) await this.#listen()
  }

  async close(): Promise<void> {
    if (this.#server.listening) await this.cut()
    else this.#breakAll()
  }

  #listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen({ host: '127.0.0.1', port: this.#port }, () => {
        const address = this.#server.address()
        if (typeof address === 'object' && address !== null) this.#port = address.port
        resolve()
      })
    })
  }

  #join(client: Socket): void {
    this.#connections += 1
    const server = connect(this.#target)
    const pair = [client, server] as const
    this.#pairs.add(pair)
    const end = () => {
      this.#pairs.delete(pair)
      client.destroy()
      server.destroy()
    }
    for (const [from, to] of [pair, [server, client] as const]) {
      from.on('error', end)
      from.on('close', end)
      from.on('data', chunk => {
        if (from === client) this.#tap(chunk)
        this.#forward(chunk, to)
      })
      if (this.#isMute) from.pause()
    }
  }

  #forward(chunk: Buffer, to: Socket): void {
    if (this.#delayMs === 0) to.write(chunk)
    else setTimeout(() => to.destroyed || to.write(chunk), this.#delayMs)
  }

  #breakAll(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy()
    this.#pairs.clear()
  }
}
