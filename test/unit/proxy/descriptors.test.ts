import assert from 'node:assert/strict'
import test from 'node:test'
import { parseDescriptorsMax, RESERVED_DESCRIPTORS, sessionLimits } from '../../../src/proxy/descriptors.ts'

const listeners = [
  { name: 'write', connectionsMax: 300 },
  { name: 'read', connectionsMax: 100 },
]

test('limits stay as they are while there are descriptors for all sessions', () => {
  for (const descriptorsMax of [undefined, 800 + RESERVED_DESCRIPTORS]) {
    assert.deepEqual(sessionLimits(listeners, descriptorsMax), { sessionsMax: [300, 100], says: undefined })
  }
})

test('limits are lowered in proportion, and the warning says what to raise', () => {
  const { sessionsMax, says } = sessionLimits(listeners, 400 + RESERVED_DESCRIPTORS)
  assert.deepEqual(sessionsMax, [150, 50])
  assert.equal(
    says,
    'the limit of 700 open files allows fewer sessions than max_connections: write 150, read 50 ' +
      '(raise LimitNOFILE to 1100, or lower max_connections)',
  )
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
