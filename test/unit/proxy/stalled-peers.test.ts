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
  peers.follow(handle, 200)
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
