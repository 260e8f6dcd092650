// Wires over the public API of node:net: for platforms and versions of Node on which the handles are not what we know,
// and for comparison. A connection reads into our own buffer (`onread`). The server has no such option for those that it accepts:
// their sockets are made here, or, where that is not possible, their streams are read.

import {
  connect,
  createServer,
  type OnReadOpts,
  type Server,
  Socket,
  type SocketConstructorOpts,
} from 'node:net'
import type { HostPort } from '../../cluster/member.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Endpoints } from '../proxy-protocol.ts'
import { dropUnsent, forgetUserTimeout, handleOf, setUserTimeout } from '../socket-options.ts'
import { withNames } from './name-dial.ts'
import type { LookUp } from './names.ts'
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

class NetWire implements Wire {
  listener: WireListener = nobody
  isPending = false
  #socket: Socket | undefined
  #isReading = false
  readonly #buffer = new ReadBuffer()
  /** What was read though nobody reads, until somebody does. */
  #unread: Buffer | undefined

  /** Where the next read goes. */
  readonly #nextTarget = (): Buffer => this.#buffer.target

  /** So many bytes were read. False stops the reading. */
  readonly #onRead = (count: number): boolean => {
    const bytes = this.#buffer.landed(count)
    // Node begins to read one step after `resume`, also when `pause` was called in between.
    if (!this.#isReading) {
      this.#unread = bytes
      keepForLater(bytes)
    } else this.listener.onData(bytes)
    if (this.#isReading && !this.isDestroyed) this.#buffer.free(count)
    else this.#buffer.keepForReader()
    return this.#isReading
  }

  /** How a socket is made that reads into our buffer. */
  get onread(): OnReadOpts {
    return { buffer: this.#nextTarget, callback: this.#onRead }
  }

  /** Takes a socket that was made with allowHalfOpen and our `onread`, or one that is paused and whose stream is to be read. */
  attach(socket: Socket, isStream = false): void {
    this.#attach(socket)
    // A listener makes a socket read, so the others, whose data `#onRead` gets, have none.
    if (isStream) socket.on('data', (chunk: Buffer) => this.listener.onData(chunk))
    this.stop()
  }

  #attach(socket: Socket): void {
    this.#socket = socket
    socket.on('end', () => {
      if (!this.isDestroyed) this.listener.onEnd()
    })
    socket.on('error', () => this.listener.onBroken())
    socket.once('close', () => {
      this.#buffer.abandon()
      this.listener.onClosed()
    })
  }

  get isDestroyed(): boolean {
    return this.#socket?.destroyed !== false
  }

  endpoints(): Endpoints {
    return {
      source: this.#socket?.remoteAddress ?? '',
      sourcePort: this.#socket?.remotePort ?? 0,
      target: this.#socket?.localAddress ?? '',
      targetPort: this.#socket?.localPort ?? 0,
    }
  }

  start(): void {
    this.#isReading = true
    if (this.#unread === undefined) this.#socket?.resume()
    else process.nextTick(this.#tellUnread)
  }

  stop(): void {
    this.#isReading = false
    this.#socket?.pause()
  }

  write(bytes: Buffer): boolean {
    const socket = this.#socket
    if (socket === undefined || socket.destroyed || socket.writableEnded) return true
    socket.write(bytes, this.#onWritten)
    if (socket.writableLength === 0) return !this.isPending
    this.isPending = true
    keepForLater(bytes)
    return false
  }

  end(): void {
    if (this.#socket?.writableEnded === false) this.#socket.end()
  }

  destroy(): void {
    this.#socket?.destroy()
  }

  reset(): void {
    const socket = this.#socket
    if (socket === undefined) return
    // Refused while a FIN is under way, and Node would keep the descriptor for ever.
    if (!socket.writableEnded || socket.writableLength > 0 || socket.writableFinished) {
      socket.resetAndDestroy()
      return
    }
    const handle = handleOf(socket)
    if (handle !== undefined) dropUnsent(handle)
    socket.destroy()
  }

  readonly #tellUnread = (): void => {
    const bytes = this.#unread
    if (bytes === undefined || !this.#isReading || this.isDestroyed) return
    this.#unread = undefined
    this.listener.onData(bytes)
    if (this.#isReading) this.#socket?.resume()
  }

  readonly #onWritten = (): void => {
    if (!this.isPending || this.#socket?.writableLength !== 0) return
    this.isPending = false
    if (!this.isDestroyed) this.listener.onTaken()
  }
}

function limitUnacked(socket: Socket, unackedMs: number | undefined): void {
  if (unackedMs === undefined) return
  const handle = handleOf(socket)
  setUserTimeout(handle, unackedMs)
  socket.once('close', () => forgetUserTimeout(handle))
}

/** A listening handle, or the one of a client that it got. */
interface Handle {
  onconnection?: (status: number, client: Handle | undefined) => void
  readonly useUserBuffer?: unknown
}

/**
 * Clients go to `take` before Node makes a socket of them that reads into a stream. No public API leads there: where this Node
 * does not have it as we know it, they become sockets as usual.
 */
function intercept(server: Server, take: (client: Handle) => void): void {
  const { _handle: handle } = server as unknown as { readonly _handle?: Handle | null }
  const usual = handle?.onconnection
  if (handle === undefined || handle === null || typeof usual !== 'function') return
  handle.onconnection = (status, client) => {
    if (status === 0 && typeof client?.useUserBuffer === 'function') take(client)
    else usual.call(handle, status, client)
  }
}

/** Always there. Node looks names up here: `openNetTransport`. */
export const netTransport: Transport = {
  kind: 'net',

  createServer({ keepAliveMs, unackedMs }: ServeOptions, onWire: (wire: Wire) => void): WireServer {
    const welcome = (wire: NetWire, socket: Socket, isStream: boolean) => {
      socket.setNoDelay(true)
      if (keepAliveMs !== undefined) socket.setKeepAlive(true, keepAliveMs)
      limitUnacked(socket, unackedMs)
      wire.attach(socket, isStream)
      onWire(wire)
    }
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, socket =>
      welcome(new NetWire(), socket, true),
    )
    const take = (handle: Handle) => {
      const wire = new NetWire()
      const options = { handle, allowHalfOpen: true, onread: wire.onread }
      welcome(wire, new Socket(options as SocketConstructorOpts), false)
    }
    server.on('listening', () => intercept(server, take))
    return server
  },

  dial(address: HostPort, { source, keepAliveMs, unackedMs }: DialOptions, listener: DialListener): Dial {
    const wire = new NetWire()
    const socket = connect({
      ...address,
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: keepAliveMs,
      onread: wire.onread,
      ...(source === undefined ? {} : { localAddress: source }),
    })
    let isOver = false
    // Stays in place: an error after an abort must not end the process.
    socket.on('error', error => {
      if (!isOver) listener.onFailed(error)
      isOver = true
    })
    socket.once('connect', () => {
      if (isOver) return
      isOver = true
      limitUnacked(socket, unackedMs)
      wire.attach(socket)
      listener.onConnected(wire)
    })
    return {
      abort: () => {
        if (isOver) return
        isOver = true
        socket.destroy()
      },
    }
  },
}

/** As the proxy takes it: names of servers are looked up by us, as over the handles. */
export function openNetTransport(clock: Clock, lookUp?: LookUp): Transport {
  return withNames(clock, netTransport, lookUp)
}
