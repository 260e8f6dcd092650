// System calls beside Node's, on the machine's own kernel.

import assert from 'node:assert/strict'
import { connect, createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import { nativeLibrary, SystemCallError } from '../../../src/platform/native.ts'

const AF_INET = 2
const SOCK_DGRAM_NONBLOCKING = 2 | 0x800 | 0x80000

test('a failed system call throws with its name and errno', () => {
  const close = nativeLibrary().bind('int close(int fd)')
  assert.throws(
    () => close(99_999),
    (error: unknown) =>
      error instanceof SystemCallError && error.errnoName === 'EBADF' && error.message === 'close: EBADF',
  )
})

test('an option that Node does not know is set on a socket of Node and read back', async () => {
  const library = nativeLibrary()
  const set = library.bind('int setsockopt(int fd, int level, int name, const void *value, uint32_t length)')
  const get = library.bind(
    'int getsockopt(int fd, int level, int name, _Out_ void *value, _Inout_ void *length)',
  )
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  const socket = await new Promise<Socket>(resolve => {
    const made = connect(port, '127.0.0.1', () => resolve(made))
  })
  const descriptor = (socket as unknown as { _handle: { fd: number } })._handle.fd
  const value = Buffer.alloc(4)
  value.writeInt32LE(12_345)
  set(descriptor, 6, 18, value, 4)
  const read = Buffer.alloc(4)
  const length = Buffer.alloc(4)
  length.writeUInt32LE(4)
  get(descriptor, 6, 18, read, length)
  assert.equal(read.readInt32LE(), 12_345)
  socket.destroy()
  server.close()
})

test('a descriptor that Node did not open is followed by the event loop until the watch stops', async () => {
  const library = nativeLibrary()
  const open = library.bind('int socket(int domain, int type, int protocol)')
  const close = library.bind('int close(int fd)')
  const bind = library.bind('int bind(int fd, const void *address, uint32_t length)')
  const send = library.bind(
    'int64_t sendto(int fd, const void *data, size_t size, int flags, const void *to, uint32_t length)',
  )
  const receive = library.bind('int64_t recv(int fd, _Out_ void *data, size_t size, int flags)')
  const name = library.bind('int getsockname(int fd, _Out_ void *address, _Inout_ void *length)')
  const descriptor = open(AF_INET, SOCK_DGRAM_NONBLOCKING, 0)
  const address = Buffer.alloc(16)
  address.writeUInt16LE(AF_INET)
  address.set([127, 0, 0, 1], 4)
  bind(descriptor, address, 16)
  const length = Buffer.alloc(4)
  length.writeUInt32LE(16)
  name(descriptor, address, length)

  const got = await new Promise<string>(resolve => {
    const watch = library.watch(descriptor, () => {
      const data = Buffer.alloc(64)
      const size = Number(receive(descriptor, data, data.length, 0))
      watch.stop()
      resolve(data.toString('latin1', 0, size))
    })
    send(descriptor, Buffer.from('hello'), 5, 0, address, 16)
  })
  assert.equal(got, 'hello')
  assert.throws(() => receive(descriptor, Buffer.alloc(8), 8, 0), /recv: EAGAIN/)
  close(descriptor)
})
