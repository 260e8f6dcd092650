// The transport on the TCP handles below node:net. This and handle-wire.ts are the places that know those handles. They are no
// public API, so `openHandleTransport` looks whether they are as we know them, self-test.ts tries them out at start-up, and the
// proxy falls back to net.ts.

import { createServer, isIP } from 'node:net'
import { getSystemErrorName } from 'node:util'
import type { HostPort } from '../../cluster/member.ts'
import type { Clock } from '../../platform/clock.ts'
import { followUserTimeout, prepareLimits, setListenerUserTimeout } from '../socket-options.ts'
import { keepAliveSeconds } from '../stalled-peers.ts'
import { type Handle, type Inside, openBindings, type Request } from './bindings.ts'
import { HandleWire, low, useBindings } from './handle-wire.ts'
import { withNames } from './name-dial.ts'
import type { LookUp } from './names.ts'
import type { Dial, DialListener, DialOptions, ServeOptions, Transport, Wire, WireServer } from './wire.ts'

const PORT_MAX = 65_535

/** One attempt to connect to a numeric address. */
class HandleDial implements Dial {
  readonly #listener: DialListener
  readonly #options: DialOptions
  readonly #address: HostPort
  readonly #handle: Handle = low.newHandle()
  readonly #wire = new HandleWire(this.#handle)
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
    this.#handle.close()
  }

  ended(status: number): void {
    if (this.#isOver) return
    this.#isOver = true
    if (status !== 0) {
      this.#handle.close()
      this.#listener.onFailed(connectError(status, this.#address))
      return
    }
    this.#handle.setNoDelay(true)
    // Not the options as a whole: they would keep the client's wire.
    const { keepAliveMs, unackedMs } = this.#options
    prepareLimits(this.#handle, { keepAliveMs, unackedMs })
    this.#listener.onConnected(this.#wire)
    this.#wire.settle()
  }

  #connect(isV6: boolean): number {
    const { source } = this.#options
    const { host, port } = this.#address
    const bound = source === undefined ? 0 : this.#bind(source)
    if (bound !== 0) return bound
    const request = new low.Connect()
    request.wire = this
    request.oncomplete = onDialed
    const error = isV6
      ? this.#handle.connect6(request, host, port)
      : this.#handle.connect(request, host, port)
    if (error === 0) this.#wire.prepare()
    return error
  }

  #bind(source: string): number {
    return isIP(source) === 6 ? this.#handle.bind6(source, 0, 0) : this.#handle.bind(source, 0)
  }
}

function onDialed(this: Request, status: number): void {
  ;(this.wire as HandleDial).ended(status)
}

function connectError(status: number, { host, port }: HostPort): NodeJS.ErrnoException {
  const code = getSystemErrorName(status)
  return Object.assign(new Error(`connect ${code} ${host}:${port}`), { code, errno: status })
}

interface WithHandle {
  _handle: Handle | null
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
      if (keepAliveMs !== undefined) handle.setKeepAlive(true, keepAliveSeconds(keepAliveMs))
      setListenerUserTimeout(handle, unackedMs)
      handle.onconnection = (status, client) => {
        if (status !== 0) return
        followUserTimeout(client, unackedMs)
        onWire(new HandleWire(client))
      }
    })
    return server
  },

  /** Numeric addresses alone. */
  dial(address: HostPort, options: DialOptions, listener: DialListener): Dial {
    return new HandleDial(address, options, listener)
  },
}

/** The low-level transport, or why this Node does not have it. Names of servers are looked up with `lookUp`. */
export function openHandleTransport(clock: Clock, inside?: Inside, lookUp?: LookUp): Transport | string {
  const bindings = openBindings(inside)
  if (typeof bindings === 'string') return bindings
  useBindings(bindings)
  const { dial, ...rest } = withNames(clock, handleTransport, lookUp)
  return {
    ...rest,
    dial: (address, options, listener) => {
      checkPort(address.port)
      return dial(address, options, listener)
    },
  }
}

/** node:net does it for its callers. A handle takes 70,000 for 4,464, and what is no number ends the process. */
function checkPort(port: number): void {
  if (Number.isInteger(port) && port > 0 && port <= PORT_MAX) return
  throw new RangeError(`${port} is no port of a server`)
}
