// Tries a transport out on loopback before sessions are given to it: bytes there and back, a reader that stalls, a half
// that closes, a reset. Takes some milliseconds.

import { createHash, randomBytes } from 'node:crypto'
import type { Clock } from '../../platform/clock.ts'
import { messageOf } from '../../platform/errors.ts'
import type { Transport, Wire, WireListener, WireServer } from './wire.ts'

const WITHIN_MS = 3000
const LOOPBACK = '127.0.0.1'
/** No multiple of what a read takes, so that a piece in the wrong place changes the digest. */
const block = randomBytes(64 * 1024 + 1)
/** More than the kernel's buffers of one connection can hold. */
const BLOCKS_MAX = 1024
const SMALL_BYTES = 100
const STALL_MS = 20
const KEEPALIVE_MS = 30_000

/** Resolves to what was wrong, or undefined. Never rejects. */
export async function testTransport(clock: Clock, transport: Transport): Promise<string | undefined> {
  const bench = new Bench(clock, transport)
  try {
    await bench.run()
    return undefined
  } catch (error) {
    return messageOf(error)
  } finally {
    bench.close()
  }
}

/** One end of the pair: remembers what happened and wakes who waits for it. */
class End implements WireListener {
  readonly wire: Wire
  readonly #wake: () => void
  bytes = 0
  readonly #received = createHash('sha1')
  readonly #sent = createHash('sha1')
  hasEnded = false
  hasTaken = false
  isBroken = false
  isClosed = false

  constructor(wire: Wire, wake: () => void) {
    this.wire = wire
    this.#wake = wake
    wire.listener = this
  }

  onData(bytes: Buffer): void {
    this.#received.update(bytes)
    this.bytes += bytes.length
    this.#wake()
  }

  write(bytes: Buffer): boolean {
    this.#sent.update(bytes)
    this.hasTaken = false
    return this.wire.write(bytes)
  }

  /** Has it got exactly what the other one sent? */
  hasAllOf(other: End): boolean {
    return this.#received.copy().digest('hex') === other.#sent.copy().digest('hex')
  }

  onEnd(): void {
    this.hasEnded = true
    this.#wake()
  }

  onTaken(): void {
    this.hasTaken = true
    this.#wake()
  }

  onBroken(): void {
    this.isBroken = true
    this.#wake()
  }

  onClosed(): void {
    this.isClosed = true
    this.#wake()
  }
}

class Bench {
  readonly #clock: Clock
  readonly #transport: Transport
  readonly #byMs: number
  #server: WireServer | undefined
  #accepted: Wire[] = []
  #ends: End[] = []
  #look: () => void = () => {}

  constructor(clock: Clock, transport: Transport) {
    this.#clock = clock
    this.#transport = transport
    this.#byMs = clock.monotonicMs() + WITHIN_MS
  }

  async run(): Promise<void> {
    const port = await this.#listen()
    const [client, server] = await this.#pair(port)
    await this.#send(client, server)
    await this.#stall(server, client)
    client.wire.end()
    await this.#until('the end of one half', () => server.hasEnded)
    server.write(block.subarray(0, 1))
    const wanted = client.bytes + 1
    await this.#until('bytes to a half-closed end', () => client.bytes === wanted)
    server.wire.end()
    await this.#until('both halves to close', () => client.isClosed && server.isClosed && client.hasEnded)
    const [breaking, broken] = await this.#pair(port)
    await this.#send(breaking, broken)
    breaking.wire.reset()
    await this.#until('a reset', () => broken.isBroken && broken.isClosed && breaking.isClosed)
    if (!client.hasAllOf(server) || !server.hasAllOf(client)) throw new Error('a byte was wrong')
  }

  close(): void {
    this.#server?.close()
    for (const { wire } of this.#ends) wire.destroy()
    for (const wire of this.#accepted) wire.destroy()
  }

  async #listen(): Promise<number> {
    const server = this.#transport.createServer({ keepAliveMs: KEEPALIVE_MS }, wire => {
      this.#accepted.push(wire)
      this.#look()
    })
    this.#server = server
    server.on('error', () => this.#look())
    server.listen({ port: 0, host: LOOPBACK }, () => this.#look())
    await this.#until('a port', () => server.listening)
    const bound = server.address()
    if (bound === null || typeof bound === 'string') throw new Error('no port')
    return bound.port
  }

  async #pair(port: number): Promise<readonly [End, End]> {
    let dialed: End | undefined
    let failed: Error | undefined
    const listener = {
      // Read within this step, as a session does it.
      onConnected: (wire: Wire) => {
        dialed = new End(wire, () => this.#look())
        this.#ends.push(dialed)
        wire.start()
        this.#look()
      },
      onFailed: (error: Error) => {
        failed = error
        this.#look()
      },
    }
    this.#transport.dial({ host: LOOPBACK, port }, { keepAliveMs: KEEPALIVE_MS }, listener)
    await this.#until('a connection', () => {
      if (failed !== undefined) throw failed
      return dialed !== undefined && this.#accepted.length > 0
    })
    const accepted = this.#accepted.pop()
    if (dialed === undefined || accepted === undefined) throw new Error('no connection')
    if (dialed.wire.endpoints().sourcePort !== port || accepted.endpoints().targetPort !== port)
      throw new Error('wrong addresses')
    const server = new End(accepted, () => this.#look())
    this.#ends.push(server)
    accepted.start()
    return [dialed, server]
  }

  async #send(from: End, to: End): Promise<void> {
    const bytes = block.subarray(0, SMALL_BYTES)
    const wanted = to.bytes + bytes.length
    if (!from.write(bytes)) throw new Error('a small piece was not taken at once')
    await this.#until('a small piece', () => to.bytes === wanted)
  }

  async #stall(from: End, to: End): Promise<void> {
    to.wire.stop()
    const before = to.bytes
    let sent = to.bytes
    let isStalled = false
    for (let count = 0; !isStalled && count < BLOCKS_MAX; count += 1) {
      sent += block.length
      if (from.write(block)) continue
      await this.#clock.sleep(STALL_MS)
      // On a busy machine the kernels are not done with what came before: only a piece that stays is a stall.
      isStalled = !from.hasTaken
    }
    if (to.bytes !== before) throw new Error('bytes came to an end that does not read')
    if (!isStalled || !from.wire.isPending) throw new Error('a reader that stalls did not stop its writer')
    to.wire.start()
    await this.#until('all bytes after a stall', () => to.bytes === sent && from.hasTaken)
    if (from.wire.isPending) throw new Error('a write does not end')
  }

  #until(what: string, isTrue: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = this.#clock.setTimer(this.#byMs - this.#clock.monotonicMs(), () => {
        reject(new Error(`${what} did not come within ${WITHIN_MS} ms`))
      })
      const finish = (then: () => void) => {
        timer.cancel()
        this.#look = () => {}
        then()
      }
      this.#look = () => {
        try {
          if (isTrue()) finish(resolve)
        } catch (error) {
          finish(() => reject(error))
        }
      }
      this.#look()
    })
  }
}
