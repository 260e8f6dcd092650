// One end of a connection as the proxy's parts see it: no streams, no events, one listener at a time. Two kinds of wires
// keep this contract (net.ts, handle.ts); whatever holds a wire does not know which one it is. They differ in one point: where a
// write fails because the other side is gone, a handle that is being read tells first what had come before; node:net drops it.

import type { AddressInfo } from 'node:net'
import type { HostPort } from '../../cluster/member.ts'
import type { Carry } from '../carry.ts'
import type { Endpoints } from '../proxy-protocol.ts'

/** Who is told what happens to a wire. */
export interface WireListener {
  /**
   * Bytes came. They stay as they are while the call runs, and longer only when a wire said that it has not taken them
   * yet: then the wire that they came from must be stopped until `onTaken` of the other.
   */
  onData(bytes: Buffer): void
  /** The other side closed its direction: nothing more comes. Told once. */
  onEnd(): void
  /** All that was written is with the kernel now. Told after a `write` that returned false. */
  onTaken(): void
  /** The connection broke and closes by itself. Told once, before `onClosed`. */
  onBroken(): void
  /** The descriptor is free. Told once, last. */
  onClosed(): void
}

/** Who only wants to know when a wire is gone. */
export type ClosedListener = Pick<WireListener, 'onClosed'>

export interface Wire {
  /** The one who is told; whoever takes a wire over puts itself here. */
  listener: WireListener
  /** Is it closed, or about to be? Nothing is told any more then but `onClosed`. */
  readonly isDestroyed: boolean
  /** Does the kernel not have all yet that was written? */
  readonly isPending: boolean
  /** The addresses of both ends; empty ones when the connection is gone already. */
  endpoints(): Endpoints
  /** Begins to read, or goes on. A new wire does not read. */
  start(): void
  stop(): void
  /** True: the kernel has all of it. False: `bytes` must stay untouched until `onTaken`. */
  write(bytes: Buffer): boolean
  /** FIN behind all that was written. When the other side's FIN is there too the wire closes. */
  end(): void
  /** Closes at once; what the kernel does not have yet is dropped. */
  destroy(): void
  /** The same, and the other side gets a reset. */
  reset(): void
}

/** How wires are made. */
export interface Transport {
  readonly kind: 'net' | 'handle'
  /** A server that has not been told to listen yet. `onWire` gets each client. */
  createServer(options: ServeOptions, onWire: (wire: Wire) => void): WireServer
  /** Begins to connect. */
  dial(address: HostPort, options: DialOptions, listener: DialListener): Dial
  /** How a session is carried over two wires of this transport; undefined: here, as over any wires. */
  readonly carry?: Carry
}

/** Where a server listens. */
export interface ListenOptions {
  readonly port: number
  /** Undefined: all addresses. */
  readonly host?: string
  readonly backlog?: number
  /** Clients of IPv4 are for others, where the host is `::`. */
  readonly ipv6Only?: boolean
  /** Others of this user may listen there, too, and the kernel shares the clients out. */
  readonly reusePort?: boolean
}

type OnServerError = (error: NodeJS.ErrnoException) => void

/** The part of a net.Server that the proxy needs. */
export interface WireServer {
  readonly listening: boolean
  address(): AddressInfo | string | null
  listen(options: ListenOptions, onListening: () => void): unknown
  close(): unknown
  on(event: 'error', onError: OnServerError): unknown
  once(event: 'error', onError: OnServerError): unknown
  off(event: 'error', onError: OnServerError): unknown
}

export interface ServeOptions {
  /** TCP keepalive's first probe after this much silence; undefined: none. */
  readonly keepAliveMs: number | undefined
  /** TCP_USER_TIMEOUT of each client; undefined: the kernel's own patience. */
  readonly unackedMs?: number | undefined
}

export interface DialOptions {
  readonly keepAliveMs: number
  /** TCP_USER_TIMEOUT once it is connected; undefined: the kernel's own patience. */
  readonly unackedMs?: number | undefined
  /** Local address to connect from. */
  readonly source?: string | undefined
  /** How long a name may take to be looked up: less than the whole attempt, so that a resolver that hangs is not the server's fault. */
  readonly lookUpMs?: number | undefined
  /** The wire that this one is for: both must be where one relay can hold them. */
  readonly beside?: Wire | undefined
}

/** Exactly one of the two is called, once and later, unless the attempt is aborted. */
export interface DialListener {
  onConnected(wire: Wire): void
  /** `error` has the system's code. */
  onFailed(error: NodeJS.ErrnoException): void
}

/** An attempt under way. `abort` after the end does nothing. */
export interface Dial {
  abort(): void
}

/** For a wire that nobody listens to yet. */
export const nobody: WireListener = {
  onData: () => {},
  onEnd: () => {},
  onTaken: () => {},
  onBroken: () => {},
  onClosed: () => {},
}
