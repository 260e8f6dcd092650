// Node's internal TCP handles, typed as far as we use them, and the look whether this Node has them in that shape.
// Deprecated and undocumented: nothing but handle.ts and handle-wire.ts may import this. What each does is told in docs/contracts/node-handles.md.

import { getSystemErrorMap } from 'node:util'

/** A TCP handle of libuv. Numbers returned are 0 or a negative error number. */
export interface Handle {
  onread: (this: Handle) => Buffer | undefined
  /** Of a listening handle. */
  onconnection: (this: Handle, status: number, handle: Handle) => void
  /** Ours: the wire that owns it. */
  wire: unknown
  /** The descriptor; negative when it is closed. */
  readonly fd?: number
  readStart(): number
  readStop(): number
  useUserBuffer(buffer: Buffer): void
  writeBuffer(request: Request, bytes: Buffer): number
  shutdown(request: Request): number
  close(): void
  reset(): number
  getpeername(out: Name): number
  getsockname(out: Name): number
  setNoDelay(isOn: boolean): number
  setKeepAlive(isOn: boolean, delaySeconds: number): number
  bind(address: string, port: number): number
  bind6(address: string, port: number, flags: number): number
  connect(request: Request, address: string, port: number): number
  connect6(request: Request, address: string, port: number): number
}

/** An operation under way. `wire` and `bytes` are ours: they keep both alive until it is over. */
export interface Request {
  oncomplete: (this: Request, status: number, handle: Handle) => void
  wire: unknown
  bytes: Buffer | undefined
}

/** What getpeername and getsockname fill in. */
export interface Name {
  address?: string
  port?: number
}

type RequestClass = new () => Request

export interface Bindings {
  readonly newHandle: () => Handle
  readonly Write: RequestClass
  readonly Shutdown: RequestClass
  readonly Connect: RequestClass
  /** Where the last call left its result, at the indexes below. */
  readonly state: Int32Array
  readonly readCount: number
  readonly wasAsync: number
  /** The error number that means the end of a stream. */
  readonly endOfFile: number
}

const METHODS: readonly (keyof Handle)[] = [
  ...(['readStart', 'readStop', 'useUserBuffer', 'writeBuffer', 'shutdown', 'close', 'reset'] as const),
  ...(['getpeername', 'getsockname', 'setNoDelay', 'setKeepAlive'] as const),
  ...(['bind', 'bind6', 'connect', 'connect6'] as const),
]

/** The part of `process` that is asked. */
export interface Inside {
  readonly platform: string
  binding?: (name: string) => Record<string, unknown>
}

/** The handles' classes, or what is not as expected. Never throws. */
export function openBindings(inside: Inside = process as unknown as Inside): Bindings | string {
  try {
    return read(inside)
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

function read(node: Inside): Bindings | string {
  if (node.binding === undefined) return 'process.binding does not exist'
  if (node.platform !== 'linux') return `not known on ${node.platform}`
  const { TCP, TCPConnectWrap, constants } = node.binding('tcp_wrap')
  const { WriteWrap, ShutdownWrap, streamBaseState, ...indexes } = node.binding('stream_wrap')
  const [endOfFile] = [...getSystemErrorMap()].find(([, [name]]) => name === 'EOF') ?? []
  const { kReadBytesOrError: readCount, kLastWriteWasAsync: wasAsync } = indexes
  const type = (constants as Record<string, unknown> | undefined)?.['SOCKET']
  if (![TCP, TCPConnectWrap, WriteWrap, ShutdownWrap].every(one => typeof one === 'function'))
    return 'a class is missing'
  if (!(streamBaseState instanceof Int32Array)) return 'streamBaseState is missing'
  if (typeof readCount !== 'number' || typeof wasAsync !== 'number' || endOfFile === undefined)
    return 'a constant is missing'
  if (typeof type !== 'number') return 'the type of a socket is missing'
  const Handle = TCP as new (type: number) => Handle
  const missing = METHODS.filter(name => typeof Handle.prototype[name] !== 'function')
  if (missing.length > 0) return `a handle has no ${missing.join(', ')}`
  return {
    newHandle: () => new Handle(type),
    Write: WriteWrap as RequestClass,
    Shutdown: ShutdownWrap as RequestClass,
    Connect: TCPConnectWrap as RequestClass,
    state: streamBaseState,
    readCount,
    wasAsync,
    endOfFile,
  }
}
