import assert from 'node:assert/strict'
import test from 'node:test'
import { CONNECTIONS_MAX } from '../../../src/proxy/admin/server.ts'
import { parseDescriptorsMax, reservedDescriptors, sessionLimits } from '../../../src/proxy/descriptors.ts'
import { REFUSALS_MAX } from '../../../src/proxy/turn-away.ts'

const reserved = reservedDescriptors(2)
const listeners = [
  { name: 'write', connectionsMax: 300 },
  { name: 'read', connectionsMax: 100 },
]

test('limits stay as they are while there are descriptors for all sessions', () => {
  for (const descriptorsMax of [undefined, 800 + reserved]) {
    assert.deepEqual(sessionLimits(listeners, descriptorsMax), { sessionsMax: [300, 100], says: undefined })
  }
})

test('the higher limit is lowered first, and the warning says what to raise', () => {
  const { sessionsMax, says } = sessionLimits(listeners, 400 + reserved)
  assert.deepEqual(sessionsMax, [100, 100])
  assert.equal(
    says,
    `the limit of ${400 + reserved} open files allows fewer sessions than max_connections: write 100, read 100 ` +
      `(raise LimitNOFILE to ${800 + reserved}, or lower max_connections)`,
  )
})

test('a small limit stays what it is beside a large one; when all are too high they get the same', () => {
  const chosen = [
    { name: 'write', connectionsMax: 10_000 },
    { name: 'read', connectionsMax: 3 },
  ]
  assert.deepEqual(sessionLimits(chosen, 20_000 + reserved).sessionsMax, [9_997, 3])
  assert.deepEqual(sessionLimits(listeners, 100 + reserved).sessionsMax, [25, 25])
})

test('even a tiny limit leaves one session to each listener', () => {
  assert.deepEqual(sessionLimits(listeners, 10).sessionsMax, [1, 1])
})

test('the soft limit is read from the text of the kernel', () => {
  const text =
    'Limit    Soft Limit  Hard Limit  Units\nMax open files            1024                 4096      files\n'
  assert.equal(parseDescriptorsMax(text), 1024)
  assert.equal(parseDescriptorsMax('Max open files            unlimited'), undefined)
})

test('what is kept back covers the status port, refusals of every listener and the proxy’s own questions', () => {
  assert.ok(reservedDescriptors(2) >= CONNECTIONS_MAX + 2 * REFUSALS_MAX + 64)
  assert.equal(
    reservedDescriptors(3) - reservedDescriptors(2),
    reservedDescriptors(2) - reservedDescriptors(1),
  )
})

test('threads have descriptors of their own, which sessions may not take', () => {
  assert.equal(sessionLimits(listeners, 800 + reserved, 1).says, undefined)
  const { sessionsMax, says } = sessionLimits(listeners, 800 + reserved, 4)
  assert.ok(sessionsMax.every((max, index) => max <= (listeners[index]?.connectionsMax ?? 0)))
  assert.ok((sessionsMax[0] ?? 0) < 300)
  assert.match(says ?? '', /raise LimitNOFILE to \d+/)
})
