// In a worker: a wire whose session lives in the control thread, until both wires of a session meet in a relay.

import type { Wire, WireListener } from '../relay/wire.ts'
import { EARLY_BYTES_MAX } from '../startup.ts'
import { copied, type Report } from './messages.ts'

export class WorkerWire implements WireListener {
  readonly id: number
  readonly wire: Wire
  hasEnded = false
  readonly #report: (report: Report) => void
  readonly #onGone: (wire: WorkerWire) => void
  #early: Buffer[] = []
  #earlyBytes = 0
  #isDraining = false

  /** Takes the wire. `onGone` is told when it closes while it is still here. */
  constructor(id: number, wire: Wire, report: (report: Report) => void, onGone: (wire: WorkerWire) => void) {
    this.id = id
    this.wire = wire
    this.#report = report
    this.#onGone = onGone
    wire.listener = this
  }

  /** All bytes so far, for whoever becomes the wire's listener within this step. */
  handOver(): Buffer {
    const bytes = Buffer.concat(this.#early)
    this.#early = []
    return bytes
  }

  /** What still comes is read, so that a close is no reset, and dropped. */
  drain(): void {
    this.#isDraining = true
    this.#early = []
    this.wire.start()
  }

  onData(bytes: Buffer): void {
    if (this.#isDraining) return
    const copy = copied(bytes)
    this.#early.push(Buffer.from(copy.buffer))
    this.#earlyBytes += copy.length
    this.#report({ tells: 'data', wire: this.id, bytes: copy })
    if (this.#earlyBytes > EARLY_BYTES_MAX) this.wire.stop()
  }

  onEnd(): void {
    this.hasEnded = true
    this.#report({ tells: 'end', wire: this.id })
  }

  onTaken(): void {}

  onBroken(): void {
    this.#report({ tells: 'broken', wire: this.id })
  }

  onClosed(): void {
    this.#onGone(this)
    this.#report({ tells: 'closed', wire: this.id })
  }
}
