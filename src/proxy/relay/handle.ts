// Wires on the TCP handles below node:net: one read and one write of the kernel for each piece, no stream in between. This
// is the one place that knows those handles. They are no public API, so `openHandleTransport` looks whether they are as we
// know them, self-test.ts tries them out at start-up, and the proxy falls back to net.ts.

import { connect, createServer, isIP, type Socket } from 'node:net'
import { getSystemErrorName } from 'node:util'
import type { HostPort } from '../../cluster/member.ts'
import type { Endpoints } from '../proxy-protocol.ts'
import {
  followUserTimeout,
  forgetUserTimeout,
  setListenerUserTimeout,
  setUserTimeout,
} from '../tcp-user-timeout.ts'
import { type Bindings, type Handle, type Inside, openBindings, type Request } from './bindings.ts'
import { keepForLater, ReadBuffer } from './read-buffer.ts'
import {
  type Dial,
  type DialListener,
  type DialOptions,
  nobody,
  type ServeOptions,
  type Transport,
  type Wire,
  type WireListener,
  type WireServer,
} from './wire.ts'

let low: Bindings
let state: Int32Array
let readCount = 0
let wasAsync = 0
/** For the next write that the kernel takes at once, which is nearly every one. */
let spareWrite: Request

class HandleWire implements Wire {
  listener: WireListener = nobody
  isDestroyed = false
  readonly #handle: Handle
  readonly #buffer = new ReadBuffer()
  #writes = 0
  #isReading = false
  #hasStarted = false
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
    if (!this.#hasStarted) {
      this.#hasStarted = true
      this.#handle.useUserBuffer(this.#buffer.target)
    }
    if (this.#handle.readStart() !== 0) this.#breakLater()
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
    if (this.#gotEnd && this.#writes === 0) {
      this.destroy()
      return
    }
    const request = new low.Shutdown()
    request.wire = this
    request.oncomplete = onShut
    const error = this.#handle.shutdown(request)
    if (error === 1) this.shut()
    else if (error !== 0) this.#breakLater()
  }

  destroy(): void {
    if (!this.#leave()) return
    this.#handle.close(onHandleClosed)
  }

  reset(): void {
    if (!this.#leave()) return
    // While a FIN is under way a reset is refused, and the handle counts as closed from then on without being closed.
    if (this.#hasEnded && !this.#isShut) this.#handle.close(onHandleClosed)
    else if (this.#handle.reset(onHandleClosed) !== 0) this.#handle.close(onHandleClosed)
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

function onHandleClosed(this: Handle): void {
  forgetUserTimeout(this)
  ;(this.wire as HandleWire).closed()
}

function breakWire(wire: HandleWire): void {
  wire.broke()
}

/** One attempt to connect to a numeric address. */
class HandleDial implements Dial {
  readonly #listener: DialListener
  readonly #options: DialOptions
  readonly #address: HostPort
  readonly #handle: Handle = low.newHandle()
  #isOver = false

  constructor(address: HostPort, options: DialOptions, listener: DialListener) {
    this.#address = address
    this.#options = options
    this.#listener = listener
    const error = this.#connect(isIP(address.host) === 6)
    if (error !== 0) process.nextTick(() => this.ended(error))
  }

  abort(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#handle.close(noop)
  }

  ended(status: number): void {
    if (this.#isOver) return
    this.#isOver = true
    if (status !== 0) {
      this.#handle.close(noop)
      this.#listener.onFailed(connectError(status, this.#address))
      return
    }
    this.#handle.setNoDelay(true)
    this.#handle.setKeepAlive(true, seconds(this.#options.keepAliveMs))
    setUserTimeout(this.#handle, this.#options.unackedMs)
    this.#listener.onConnected(new HandleWire(this.#handle))
  }

  #connect(isV6: boolean): number {
    const { source } = this.#options
    const { host, port } = this.#address
    const bound = source === undefined ? 0 : this.#bind(source)
    if (bound !== 0) return bound
    const request = new low.Connect()
    request.wire = this
    request.oncomplete = onDialed
    return isV6 ? this.#handle.connect6(request, host, port) : this.#handle.connect(request, host, port)
  }

  #bind(source: string): number {
    return isIP(source) === 6 ? this.#handle.bind6(source, 0, 0) : this.#handle.bind(source, 0)
  }
}

function onDialed(this: Request, status: number): void {
  ;(this.wire as HandleDial).ended(status)
}

function noop(): void {}

function seconds(ms: number): number {
  return Math.max(1, Math.floor(ms / 1000))
}

function connectError(status: number, { host, port }: HostPort): NodeJS.ErrnoException {
  const code = getSystemErrorName(status)
  return Object.assign(new Error(`connect ${code} ${host}:${port}`), { code, errno: status })
}

/** A name has to be looked up, and its addresses tried in turn: node:net does that well, and we take the handle from it. */
function dialByName(address: HostPort, options: DialOptions, listener: DialListener): Dial {
  const { source, keepAliveMs, unackedMs } = options
  const socket = connect({
    ...address,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: keepAliveMs,
    ...(source === undefined ? {} : { localAddress: source }),
  })
  let isOver = false
  socket.on('error', error => {
    if (!isOver) listener.onFailed(error)
    isOver = true
  })
  socket.once('connect', () => {
    if (isOver) return
    isOver = true
    const handle = takeHandle(socket)
    setUserTimeout(handle, unackedMs)
    listener.onConnected(new HandleWire(handle))
  })
  return {
    abort: () => {
      if (!isOver) socket.destroy()
      isOver = true
    },
  }
}

interface WithHandle {
  _handle: Handle | null
}

function takeHandle(socket: Socket): Handle {
  socket.pause()
  const inner = socket as unknown as WithHandle
  const handle = inner._handle
  if (handle === null) throw new Error('a connected socket without a handle')
  handle.readStop()
  inner._handle = null
  return handle
}

const handleTransport: Transport = {
  kind: 'handle',

  createServer({ keepAliveMs, unackedMs }: ServeOptions, onWire: (wire: Wire) => void): WireServer {
    const server = createServer()
    // Linux: accepted sockets inherit these options, so they cost nothing for each client.
    server.on('listening', () => {
      const handle = (server as unknown as WithHandle)._handle
      if (handle === null) return
      handle.setNoDelay(true)
      if (keepAliveMs !== undefined) handle.setKeepAlive(true, seconds(keepAliveMs))
      setListenerUserTimeout(handle, unackedMs)
      handle.onconnection = (status, client) => {
        if (status !== 0) return
        followUserTimeout(client, unackedMs)
        onWire(new HandleWire(client))
      }
    })
    return server
  },

  dial(address: HostPort, options: DialOptions, listener: DialListener): Dial {
    return isIP(address.host) === 0
      ? dialByName(address, options, listener)
      : new HandleDial(address, options, listener)
  },
}

/** The low-level transport, or why this Node does not have it. */
export function openHandleTransport(inside?: Inside): Transport | string {
  const bindings = openBindings(inside)
  if (typeof bindings === 'string') return bindings
  low = bindings
  state = bindings.state
  readCount = bindings.readCount
  wasAsync = bindings.wasAsync
  spareWrite = new bindings.Write()
  return handleTransport
}
