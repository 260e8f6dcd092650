import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { cancelKeyOf, Handshake } from '../../../src/proxy/handshake.ts'
import type { FirstPacket } from '../../../src/proxy/startup.ts'
import {
  authOk,
  errorMessage,
  int32,
  keyData,
  message,
  parameter,
  ready,
  splits,
  sslRequest,
  startup,
} from './bytes.ts'

const plain: FirstPacket = { kind: 'startup', major: 3, minor: 0 }
const secret = Buffer.from('00ff10a0', 'hex')
const greeting = Buffer.concat([
  authOk,
  parameter('server_version', '15.20'),
  parameter('in_hot_standby', 'off'),
  keyData(4711, secret),
  ready,
])

test('a clear start is over at ReadyForQuery and has told the cancel key, however it is cut', () => {
  for (const [head, tail] of splits(greeting)) {
    const handshake = new Handshake(plain)
    handshake.fromServer(head)
    handshake.fromServer(tail)
    assert.equal(handshake.phase, 'clear')
    assert.equal(handshake.cancelKey, '4711:00ff10a0')
    assert.equal(handshake.isStandby, false)
  }
})

test('byte by byte it is the same', () => {
  const handshake = new Handshake(plain)
  for (const byte of greeting) handshake.fromServer(Buffer.from([byte]))
  assert.deepEqual([handshake.phase, handshake.cancelKey], ['clear', cancelKeyOf(4711, '00ff10a0')])
})

test('what follows ReadyForQuery is not looked at', () => {
  const handshake = new Handshake(plain)
  handshake.fromServer(Buffer.concat([greeting, keyData(1, secret)]))
  assert.equal(handshake.cancelKey, '4711:00ff10a0')
})

test('a server that says it is a standby is known before it is ready', () => {
  const handshake = new Handshake(plain)
  handshake.fromServer(Buffer.concat([authOk, parameter('in_hot_standby', 'on')]))
  assert.deepEqual([handshake.isStandby, handshake.phase], [true, 'messages'])
})

test('the SQLSTATE of a refusal is read', () => {
  const handshake = new Handshake(plain)
  handshake.fromServer(errorMessage('57P03'))
  assert.equal(handshake.refusal, '57P03')
})

test('a boundary is only where the next byte begins a message', () => {
  const handshake = new Handshake(plain)
  assert.equal(handshake.isAtBoundary, true)
  handshake.fromServer(authOk.subarray(0, 3))
  assert.equal(handshake.isAtBoundary, false)
  handshake.fromServer(authOk.subarray(3, 7))
  assert.equal(handshake.isAtBoundary, false)
  handshake.fromServer(authOk.subarray(7))
  assert.equal(handshake.isAtBoundary, true)
})

test('an accepted encryption request makes the rest unreadable', () => {
  for (const answer of ['S', 'G']) {
    const handshake = new Handshake({ kind: answer === 'S' ? 'ssl-request' : 'gss-request' })
    handshake.fromServer(Buffer.from(answer))
    assert.deepEqual([handshake.phase, handshake.isAtBoundary], ['opaque', false])
  }
})

test('a client may go from GSS to TLS to clear text on one connection', () => {
  const handshake = new Handshake({ kind: 'gss-request' })
  handshake.fromServer(Buffer.from('N'))
  assert.equal(handshake.phase, 'packet')
  handshake.fromClient(sslRequest.subarray(0, 5))
  handshake.fromClient(sslRequest.subarray(5))
  assert.equal(handshake.phase, 'answer')
  handshake.fromServer(Buffer.from('N'))
  handshake.fromClient(startup({ user: 'u' }))
  handshake.fromServer(greeting)
  assert.deepEqual([handshake.phase, handshake.cancelKey], ['clear', '4711:00ff10a0'])
})

test('an error in place of the answer to an encryption request is read as a message', () => {
  const handshake = new Handshake({ kind: 'ssl-request' })
  handshake.fromServer(errorMessage('53300'))
  assert.equal(handshake.refusal, '53300')
})

const opaque: readonly (readonly [string, (handshake: Handshake) => void])[] = [
  ['a client that does not wait for the answer', handshake => handshake.fromClient(Buffer.from('x'))],
  ['an answer that is none', handshake => handshake.fromServer(Buffer.from('?'))],
]
for (const [name, act] of opaque) {
  test(`${name} is not understood, and passed on`, () => {
    const handshake = new Handshake({ kind: 'ssl-request' })
    act(handshake)
    assert.equal(handshake.phase, 'opaque')
  })
}

test('a message with an impossible length ends the looking', () => {
  const handshake = new Handshake(plain)
  handshake.fromServer(Buffer.concat([Buffer.from('R'), int32(3), Buffer.from('xyz')]))
  assert.equal(handshake.phase, 'opaque')
})

test('a huge message of the start is skipped, not kept', () => {
  const handshake = new Handshake(plain)
  handshake.fromServer(message('S', Buffer.alloc(1024 * 1024, 0x61)))
  handshake.fromServer(greeting)
  assert.equal(handshake.phase, 'clear')
})

test('random bytes from both sides never throw', () => {
  const piece = fc.tuple(fc.boolean(), fc.uint8Array({ maxLength: 40 }))
  const first = fc.constantFrom<FirstPacket>(plain, { kind: 'ssl-request' }, { kind: 'gss-request' })
  fc.assert(
    fc.property(first, fc.array(piece, { maxLength: 30 }), (packet, pieces) => {
      const handshake = new Handshake(packet)
      for (const [isClient, bytes] of pieces) {
        if (isClient) handshake.fromClient(Buffer.from(bytes))
        else handshake.fromServer(Buffer.from(bytes))
      }
    }),
    { numRuns: 3000 },
  )
  assert.equal(new Handshake({ kind: 'gss-request' }).phase, 'answer')
})
