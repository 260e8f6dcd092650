// The server of the raw load, a process of its own: raw sessions on one port, the health check that routers ask on another.
// Told 'down' it fails the check from then on and says when it first did.

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Wire, WireListener } from '../../src/proxy/relay/wire.ts'
import { greeting, modeOf, type RawMode } from './protocol.ts'
import { nowMs, transport } from './wires.ts'

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

const [host = '127.0.0.1'] = process.argv.slice(2)
let isDown = false
let toldAtMs: number | undefined

const check = createServer((_request, response) => {
  response.writeHead(isDown ? 503 : 200, { 'content-type': 'application/json', connection: 'close' })
  response.end(JSON.stringify({ role: 'primary', state: 'running' }))
  if (!isDown) toldAtMs = undefined
  else if (toldAtMs === undefined) {
    toldAtMs = nowMs()
    process.send?.({ downAtMs: toldAtMs })
  }
})

const raw = transport.createServer({ keepAliveMs: 30_000 }, wire => new Guest(wire))

process.on('message', (order: { isDown: boolean }) => {
  isDown = order.isDown
})
process.on('disconnect', () => process.exit(0))
check.listen(0, host, () => {
  raw.listen({ port: 0, host, backlog: BACKLOG }, () => {
    const { port } = raw.address() as AddressInfo
    process.send?.({ port, checkPort: (check.address() as AddressInfo).port })
  })
})
