import assert from 'node:assert/strict'
import test from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { isAliveAndStalled, StalledPeers } from '../../../src/proxy/stalled-peers.ts'

/** struct tcp_info with these numbers, as long as a new or an old kernel's. */
function info(unacked: number, notSent: number, lastAckMs: number, window?: number): Buffer {
  const bytes = Buffer.alloc(window === undefined ? 148 : 232)
  bytes.writeUInt32LE(unacked, 24)
  bytes.writeUInt32LE(lastAckMs, 56)
  bytes.writeUInt32LE(notSent, 144)
  if (window !== undefined) bytes.writeUInt32LE(window, 228)
  return bytes
}

// what it is about, the kernel's account, is the peer there and not reading
const rows: readonly (readonly [string, Buffer, boolean])[] = [
  ['nothing to send', info(0, 0, 10, 0), false],
  ['a window that is shut', info(0, 5000, 10, 0), true],
  ['one that was shut over bytes under way', info(3, 5000, 10, 0), true],
  ['the same of a kernel that does not tell the window', info(0, 5000, 10), true],
  ['bytes under way in an open window', info(3, 5000, 10, 9000), false],
  ['a shut window and no answer to probes', info(0, 5000, 200_000, 0), false],
  ['an account that is too short', Buffer.alloc(100), false],
]
for (const [name, bytes, want] of rows) {
  test(`a stalled peer: ${name}`, () => assert.equal(isAliveAndStalled(bytes), want))
}

test('a limit is taken off while the peer does not read, put back when it does, and forgotten with the connection', async () => {
  const set: number[] = []
  let account = info(0, 5000, 10, 0)
  const peers = new StalledPeers({
    read: () => account,
    set: (_descriptor, limitMs) => void set.push(limitMs),
  })
  const handle = { fd: 7 }
  peers.follow(handle, { unackedMs: 200 })
  const until = async (count: number) => {
    for (let turn = 0; turn < 500 && set.length < count; turn += 1) await sleep(10)
  }
  await until(1)
  account = info(3, 0, 10, 9000)
  await until(2)
  assert.deepEqual(set, [0, 200])
  handle.fd = -1
  for (let turn = 0; turn < 500 && peers.size > 0; turn += 1) await sleep(10)
  assert.equal(peers.size, 0)
})

/** What was set on the handles, and how often the kernel was asked. */
class Kernel {
  readonly set: string[] = []
  reads = 0
  readonly peers = new StalledPeers({
    read: () => {
      this.reads += 1
      return info(0, 0, 10, 9000)
    },
    set: (descriptor, limitMs) => void this.set.push(`${descriptor}: limit ${limitMs}`),
  })

  handle(fd: number) {
    return {
      fd,
      setKeepAlive: (_isOn: boolean, delaySeconds: number) =>
        void this.set.push(`${fd}: keepalive ${delaySeconds}`),
    }
  }
}

test('a connection that lasts gets its keepalive and its limit at the first look, one that is over sooner never', async () => {
  const kernel = new Kernel()
  const [lasts, ends] = [kernel.handle(7), kernel.handle(8)]
  kernel.peers.prepare(lasts, { keepAliveMs: 5_000, unackedMs: 200 })
  kernel.peers.prepare(ends, { keepAliveMs: 5_000, unackedMs: 200 })
  kernel.peers.forget(ends)
  assert.deepEqual(kernel.set, [])
  for (let turn = 0; turn < 500 && kernel.reads < 3; turn += 1) await sleep(10)
  assert.deepEqual(kernel.set, ['7: keepalive 5', '7: limit 200'])
  kernel.peers.forget(lasts)
})

test('keepalive alone is set once, and the connection is not followed any further', async () => {
  const kernel = new Kernel()
  kernel.peers.prepare(kernel.handle(7), { keepAliveMs: 400 })
  for (let turn = 0; turn < 500 && kernel.peers.size > 0; turn += 1) await sleep(10)
  assert.deepEqual(kernel.set, ['7: keepalive 1'])
  assert.equal(kernel.peers.size, 0)
})

test('one connection with a short limit among many makes all looks closer, and there is still one look at a time', async t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const kernel = new Kernel()
  const many = Array.from({ length: 201 }, (_, fd) => kernel.handle(fd))
  for (const handle of many) kernel.peers.follow(handle, { unackedMs: 1_200 })
  t.mock.timers.tick(300)
  assert.equal(kernel.reads, 200)
  // In the middle of the first look, which takes several rounds of the loop.
  kernel.peers.follow(kernel.handle(500), { unackedMs: 800 })
  for (let count = 0; count < 3; count += 1) await new Promise(setImmediate)
  assert.equal(kernel.reads, 201)
  for (let ms = 0; ms < 1_000; ms += 10) {
    t.mock.timers.tick(10)
    for (let count = 0; count < 3; count += 1) await new Promise(setImmediate)
  }
  assert.equal(kernel.reads, 201 + 5 * 202, 'a look each 200 ms')
})
