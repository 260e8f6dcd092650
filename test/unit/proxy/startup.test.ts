import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import {
  FIRST_PACKET_BYTES_MAX,
  type FirstPacket,
  printCancel,
  readFirstPacket,
} from '../../../src/proxy/startup.ts'
import { cancelRequest, gssRequest, int32, request, splits, sslRequest, startup } from './bytes.ts'

const user = { user: 'postgres', database: 'app' }
const secret = Buffer.from('a1b2c3d4', 'hex')
const longSecret = Buffer.alloc(32, 7)

const packets: readonly (readonly [string, Buffer, FirstPacket])[] = [
  ['a startup message', startup(user), { kind: 'startup', major: 3, minor: 0 }],
  ['protocol 3.2', startup(user, 2), { kind: 'startup', major: 3, minor: 2 }],
  [
    'a minor version that nobody has defined',
    startup(user, 9999),
    { kind: 'startup', major: 3, minor: 9999 },
  ],
  ['a TLS request', sslRequest, { kind: 'ssl-request' }],
  ['a GSS request', gssRequest, { kind: 'gss-request' }],
  ['a cancel request', cancelRequest(77, secret), { kind: 'cancel', processId: 77, secret: 'a1b2c3d4' }],
  [
    'a cancel request with a long key',
    cancelRequest(2 ** 31 + 5, longSecret),
    { kind: 'cancel', processId: 2 ** 31 + 5, secret: longSecret.toString('hex') },
  ],
]
for (const [name, bytes, want] of packets) {
  test(`${name} is read however it is cut, and not before it is whole`, () => {
    for (const [head, tail] of splits(bytes)) {
      assert.deepEqual(readFirstPacket(head), tail.length === 0 ? want : undefined)
    }
    assert.deepEqual(readFirstPacket(Buffer.concat([bytes, Buffer.from('more')])), want)
  })
}

test('a TLS handshake without a request is seen at its first byte', () => {
  assert.deepEqual(readFirstPacket(Buffer.from([0x16])), { kind: 'tls-hello' })
})

const garbage: readonly (readonly [string, Buffer, string])[] = [
  ['an HTTP request', Buffer.from('GET / HTTP/1.1\r\n\r\n'), 'invalid length of startup packet'],
  ['a length below eight', int32(7), 'invalid length of startup packet'],
  ['a length above the limit', int32(FIRST_PACKET_BYTES_MAX + 1), 'invalid length of startup packet'],
  ['a protocol of the past', startup(user, 0, 1), 'unknown protocol'],
  ['a protocol of the future', startup(user, 0, 4), 'unknown protocol'],
  ['an unknown request', request(5999), 'unknown request'],
  [
    'a cancel request with a short key',
    cancelRequest(1, Buffer.alloc(3)),
    'invalid length of cancel request',
  ],
  [
    'a cancel request with too long a key',
    cancelRequest(1, Buffer.alloc(257)),
    'invalid length of cancel request',
  ],
]
for (const [name, bytes, why] of garbage) {
  test(`${name} is garbage`, () => {
    assert.deepEqual(readFirstPacket(bytes), { kind: 'garbage', why })
  })
}

test('a cancel request is printed as it was read', () => {
  assert.deepEqual(printCancel(77, 'a1b2c3d4'), cancelRequest(77, secret))
})

test('random bytes never throw, and an answer given for a part stays for the whole', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), fc.uint8Array({ maxLength: 64 }), (head, tail) => {
      const part = readFirstPacket(Buffer.from(head))
      const whole = readFirstPacket(Buffer.concat([head, tail]))
      if (part !== undefined) assert.deepEqual(whole, part)
    }),
    { numRuns: 5000 },
  )
})
