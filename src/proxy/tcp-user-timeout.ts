// TCP_USER_TIMEOUT (tcp(7)): how long sent data may go unacknowledged before the kernel ends the connection. Node has no
// call for it. The kernel also counts a peer that acknowledges but does not read (a client in a pager), so it is off
// unless somebody asks for it.

import type { Socket } from 'node:net'
import { type NativeFunction, nativeLibrary, optionalNativeLibrary } from '../platform/native.ts'

const IPPROTO_TCP = 6
const TCP_USER_TIMEOUT = 18

let setOption: NativeFunction | undefined

/** Can this machine set it? Loads the library: call it at start. Throws HaError E_NO_NATIVE_CALLS when not. */
export function prepareUserTimeout(): void {
  setOption ??= nativeLibrary().bind(
    'int setsockopt(int fd, int level, int name, const void *value, uint32_t length)',
  )
}

/** A connection's handle, as far as it is asked here. */
export interface WithDescriptor {
  readonly fd?: number
}

/** Sets it on a connected handle; does nothing for undefined, or for a connection that has closed. */
export function setUserTimeout(handle: WithDescriptor | undefined, unackedMs: number | undefined): void {
  if (unackedMs === undefined || optionalNativeLibrary() === undefined) return
  const { fd: descriptor = -1 } = handle ?? {}
  if (descriptor < 0) return
  prepareUserTimeout()
  const value = Buffer.alloc(4)
  value.writeUInt32LE(unackedMs)
  setOption?.(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, value, value.length)
}

/** Not part of Node's documented interface, but of every version so far; missing, nothing is set. */
export function handleOf(socket: Socket): WithDescriptor | undefined {
  const { _handle: handle } = socket as unknown as { readonly _handle?: WithDescriptor | null }
  return handle ?? undefined
}
