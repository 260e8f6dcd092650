// A wire whose kernel the test plays: it takes all, or nothing until the test says so, and delivers only while it is read.

import assert from 'node:assert/strict'
import { nobody, type Wire, type WireListener } from '../../../src/proxy/relay/wire.ts'

export class FakeWire implements Wire {
  listener: WireListener = nobody
  isDestroyed = false
  isPending = false
  isReading = false
  /** Does the kernel take nothing at the moment? */
  isFull = false
  ended = 0
  resets = 0
  readonly #written: Buffer[] = []

  get written(): string {
    return Buffer.concat(this.#written).toString('latin1')
  }

  endpoints() {
    const [source, target] = ['10.0.0.8', '10.0.0.9']
    return { source, sourcePort: 40_000, target, targetPort: 5432 }
  }

  start(): void {
    if (!this.isDestroyed) this.isReading = true
  }

  stop(): void {
    this.isReading = false
  }

  write(bytes: Buffer): boolean {
    assert.equal(this.isPending, false, 'a piece is written while another waits')
    this.#written.push(Buffer.from(bytes))
    this.isPending = this.isFull
    return !this.isPending
  }

  end(): void {
    this.ended += 1
  }

  destroy(): void {
    if (this.isDestroyed) return
    this.isDestroyed = true
    this.isReading = false
    this.isPending = false
    setImmediate(() => this.listener.onClosed())
  }

  reset(): void {
    this.resets += 1
    this.destroy()
  }

  /** The other side has sent this. */
  deliver(text: string): void {
    assert.ok(this.isReading, 'nobody reads')
    this.listener.onData(Buffer.from(text, 'latin1'))
  }

  /** The kernel takes all that waits. */
  take(): void {
    this.isFull = false
    if (!this.isPending) return
    this.isPending = false
    this.listener.onTaken()
  }
}
