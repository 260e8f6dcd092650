// A wire on a TCP handle below node:net: one read and one write of the kernel for each piece, no stream in between.

import { getSystemErrorName } from 'node:util'
import type { Endpoints } from '../proxy-protocol.ts'
import { dropUnsent, forgetUserTimeout, shutWriting } from '../socket-options.ts'
import type { Bindings, Handle, Request } from './bindings.ts'
import { keepForLater, ReadBuffer } from './read-buffer.ts'
import { nobody, type Wire, type WireListener } from './wire.ts'

/** What is below node:net, once `useBindings` was called, which comes before everything else here. */
export let low: Bindings
let state: Int32Array
let readCount = 0
let wasAsync = 0
/** For the next write that the kernel takes at once, which is nearly every one. */
let spareWrite: Request

export class HandleWire implements Wire {
  listener: WireListener = nobody
  isDestroyed = false
  readonly #handle: Handle
  readonly #buffer = new ReadBuffer()
  #writes = 0
  #isReading = false
  #hasStarted = false
  /** Does the handle read though nobody has asked the wire to? */
  #isReady = false
  #hasEnded = false
  #isShut = false
  #gotEnd = false
  /** The other side is gone and takes nothing; what it had sent before is still being read. */
  #isMute = false
  #endpoints: Endpoints | undefined

  constructor(handle: Handle) {
    this.#handle = handle
    handle.wire = this
    handle.onread = onRead
  }

  get isPending(): boolean {
    return this.#writes > 0
  }

  endpoints(): Endpoints {
    this.#endpoints ??= this.#readEndpoints()
    return this.#endpoints
  }

  start(): void {
    if (this.#isReading || this.isDestroyed || this.#gotEnd) return
    this.#isReading = true
    if (this.#isReady) this.#isReady = false
    else if (this.#startReading() !== 0) this.#breakLater()
  }

  /** Before it is connected: one question to the kernel for both, when it is connected and when bytes are there. */
  prepare(): void {
    this.#isReady = this.#startReading() === 0
  }

  /** It is connected and was told: whoever has not begun to read by now does so later, and no byte may come before. */
  settle(): void {
    if (!this.#isReady) return
    this.#isReady = false
    if (!this.isDestroyed) this.#handle.readStop()
  }

  #startReading(): number {
    if (!this.#hasStarted) {
      this.#hasStarted = true
      this.#handle.useUserBuffer(this.#buffer.target)
    }
    return this.#handle.readStart()
  }

  stop(): void {
    if (!this.#isReading) return
    this.#isReading = false
    this.#handle.readStop()
  }

  write(bytes: Buffer): boolean {
    if (this.isDestroyed || this.#hasEnded || this.#isMute) return true
    const request = spareWrite
    const error = this.#handle.writeBuffer(request, bytes)
    if (error !== 0) {
      spareWrite = new low.Write()
      if (!this.#fallsMute(error)) this.#breakLater()
      return true
    }
    // Taken at once: the request was not used and serves the next write, of any wire.
    if (state[wasAsync] === 0) return this.#writes === 0
    spareWrite = new low.Write()
    request.wire = this
    request.bytes = bytes
    request.oncomplete = onWritten
    this.#writes += 1
    keepForLater(bytes)
    return false
  }

  end(): void {
    if (this.#hasEnded || this.isDestroyed) return
    this.#hasEnded = true
    // The other side has closed and the kernel has every byte: its close sends the FIN behind them.
    if (this.#gotEnd && this.#writes === 0) this.destroy()
    // There is nobody to tell; a refused FIN would end the wire in front of what is still to be read.
    else if (!this.#isMute) this.#shut()
  }

  #shut(): void {
    const answer = this.#writes === 0 ? shutWriting(this.#handle) : 'unknown'
    if (answer === 'sent') this.#isShut = true
    else if (answer === 'nobody' && this.#isReading) this.#isMute = true
    else this.#shutBehindWrites()
  }

  #shutBehindWrites(): void {
    const request = new low.Shutdown()
    request.wire = this
    request.oncomplete = onShut
    const error = this.#handle.shutdown(request)
    if (error === 1) this.shut()
    else if (error !== 0) this.#breakLater()
  }

  destroy(): void {
    if (this.#leave()) this.#close()
  }

  reset(): void {
    if (!this.#leave()) return
    // While a FIN is under way a reset is refused, and the handle counts as closed from then on without being closed.
    if (this.#hasEnded && !this.#isShut) {
      dropUnsent(this.#handle)
      this.#close()
    } else if (this.#handle.reset() === 0) tellClosedSoon(this)
    else this.#close()
  }

  #close(): void {
    this.#handle.close()
    tellClosedSoon(this)
  }

  /** The kernel's answer to a read: so many bytes, or an error's number. Returns where the next one goes, if elsewhere. */
  read(count: number): Buffer | undefined {
    if (this.isDestroyed) return undefined
    if (count > 0) return this.#take(count)
    if (count === 0) return undefined
    if (count !== low.endOfFile || this.#isMute) {
      this.broke()
      return undefined
    }
    this.#gotEnd = true
    this.stop()
    this.listener.onEnd()
    if (this.#isShut) this.destroy()
    return undefined
  }

  written(status: number): void {
    this.#writes -= 1
    if (this.isDestroyed) return
    if (status === 0) {
      if (this.#writes === 0) this.listener.onTaken()
    } else if (!this.#fallsMute(status)) this.broke()
  }

  shut(): void {
    this.#isShut = true
    if (this.#gotEnd) this.destroy()
  }

  broke(): void {
    if (this.isDestroyed) return
    this.destroy()
    this.listener.onBroken()
  }

  closed(): void {
    forgetUserTimeout(this.#handle)
    this.listener.onClosed()
  }

  /**
   * Is the other side gone, while we read? What it said last (a server its FATAL, and a reset because it did not read on) may
   * still lie in the kernel: the reading goes on to its end, which is there already, and tells it then.
   */
  #fallsMute(error: number): boolean {
    const code = getSystemErrorName(error)
    this.#isMute = this.#isReading && (code === 'EPIPE' || code === 'ECONNRESET')
    return this.#isMute
  }

  #take(count: number): Buffer | undefined {
    const buffer = this.#buffer
    const before = buffer.target
    this.listener.onData(buffer.landed(count))
    if (this.isDestroyed) return undefined
    // Who has stopped the reading may still need the bytes.
    if (this.#isReading) buffer.free(count)
    else buffer.keepForReader()
    return buffer.target === before ? undefined : buffer.target
  }

  #leave(): boolean {
    if (this.isDestroyed) return false
    this.isDestroyed = true
    this.stop()
    this.#buffer.abandon()
    return true
  }

  /** Not within the caller's own step: it may be about to do more with this wire. */
  #breakLater(): void {
    process.nextTick(breakWire, this)
  }

  #readEndpoints(): Endpoints {
    const near: { address?: string; port?: number } = {}
    const far: { address?: string; port?: number } = {}
    if (!this.isDestroyed) {
      this.#handle.getpeername(far)
      this.#handle.getsockname(near)
    }
    return {
      source: far.address ?? '',
      sourcePort: far.port ?? 0,
      target: near.address ?? '',
      targetPort: near.port ?? 0,
    }
  }
}

// One function of each kind for all wires: a closure for each would cost memory in every session.

function onRead(this: Handle): Buffer | undefined {
  return (this.wire as HandleWire).read(state[readCount] ?? 0)
}

function onWritten(this: Request, status: number): void {
  ;(this.wire as HandleWire).written(status)
}

function onShut(this: Request, status: number): void {
  if (status === 0) (this.wire as HandleWire).shut()
  else (this.wire as HandleWire).broke()
}

let justClosed: HandleWire[] = []

/**
 * The descriptor is closed when the handle's `close` or `reset` returns. Its own word for that would be a call into JavaScript
 * for each wire: all of one turn are told together instead, and never within the step that closed them.
 */
function tellClosedSoon(wire: HandleWire): void {
  if (justClosed.push(wire) === 1) setImmediate(tellClosed)
}

function tellClosed(): void {
  const wires = justClosed
  justClosed = []
  for (const wire of wires) wire.closed()
}

function breakWire(wire: HandleWire): void {
  wire.broke()
}

/** Before the first wire. */
export function useBindings(bindings: Bindings): void {
  low = bindings
  state = bindings.state
  readCount = bindings.readCount
  wasAsync = bindings.wasAsync
  spareWrite = new bindings.Write()
}
