// The server of the raw load, a process of its own: raw sessions on one port, and for each router a port for its health check,
// so that none hears what was meant for another. Told that one is down it fails that check from then on and says when it first did.

import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Wire, WireListener } from '../../src/proxy/relay/wire.ts'
import { nowMs } from './monotonic.ts'
import { greeting, modeOf, type RawMode } from './protocol.ts'
import { transport } from './wires.ts'

/** From now on this router's check fails, or is good again. */
export interface MarkOrder {
  readonly name: string
  readonly isDown: boolean
}

export interface PeerPorts {
  /** Of the sessions. */
  readonly port: number
  /** Of each router's check. */
  readonly checkPorts: Readonly<Record<string, number>>
}

const BACKLOG = 4096
const block = Buffer.alloc(64 * 1024, 'x')

class Guest implements WireListener {
  readonly #wire: Wire
  #mode: RawMode | undefined

  constructor(wire: Wire) {
    this.#wire = wire
    wire.listener = this
    wire.start()
  }

  onData(bytes: Buffer): void {
    if (this.#mode === undefined) {
      this.#mode = modeOf(bytes)
      this.#wire.write(greeting)
      if (this.#mode === 'down') this.#pour()
      return
    }
    if (this.#mode === 'echo' && !this.#wire.write(bytes)) this.#wire.stop()
  }

  onEnd(): void {
    this.#wire.end()
  }

  onTaken(): void {
    if (this.#mode === 'down') this.#pour()
    else this.#wire.start()
  }

  onBroken(): void {}

  onClosed(): void {}

  #pour(): void {
    // The other connections get their turn too.
    for (let count = 0; count < 16; count += 1) if (!this.#wire.write(block)) return
    setImmediate(() => {
      if (!this.#wire.isDestroyed) this.#pour()
    })
  }
}

/** What one router asks. */
class Check {
  readonly name: string
  readonly #server = createServer((_request, response) => this.#answer(response))
  #isDown = false
  #hasTold = false

  constructor(name: string) {
    this.name = name
  }

  /** Resolves to its port. */
  listen(on: string): Promise<number> {
    return new Promise(resolve => {
      this.#server.listen(0, on, () => resolve((this.#server.address() as AddressInfo).port))
    })
  }

  mark(isDown: boolean): void {
    this.#isDown = isDown
    this.#hasTold = false
  }

  #answer(response: ServerResponse): void {
    if (this.#isDown && !this.#hasTold) {
      this.#hasTold = true
      process.send?.({ downAtMs: nowMs() })
    }
    response.writeHead(this.#isDown ? 503 : 200, { 'content-type': 'application/json', connection: 'close' })
    response.end(JSON.stringify({ role: 'primary', state: 'running' }))
  }
}

const [host = '127.0.0.1', ...names] = process.argv.slice(2)
const checks = names.map(name => new Check(name))
const raw = transport.createServer({ keepAliveMs: 30_000 }, wire => new Guest(wire))

process.on('message', ({ name, isDown }: MarkOrder) => {
  checks.find(check => check.name === name)?.mark(isDown)
})
process.on('disconnect', () => process.exit(0))

const checkPorts: Record<string, number> = {}
for (const check of checks) checkPorts[check.name] = await check.listen(host)
raw.listen({ port: 0, host, backlog: BACKLOG }, () => {
  const { port } = raw.address() as AddressInfo
  process.send?.({ port, checkPorts } satisfies PeerPorts)
})
