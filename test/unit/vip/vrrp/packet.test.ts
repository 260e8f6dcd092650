// Adverts as bytes: the ones that keepalived was seen to send, and any bytes at all.

import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { compareAddresses } from '../../../../src/vip/vrrp/family.ts'
import { type Advert, decodeAdvert, encodeAdvert } from '../../../../src/vip/vrrp/packet.ts'

const multicast = { source: '192.168.234.205', destination: '224.0.0.18' }
const seen: Advert = {
  version: 2,
  routerId: 210,
  priority: 110,
  intervalMs: 1000,
  auth: { kind: 'none' },
  addresses: ['192.168.234.210'],
}

test('an advert of version 2 is, byte for byte, what keepalived sends for the same instance', () => {
  const bytes = encodeAdvert(seen, multicast, 'pseudo-header')
  assert.equal(bytes.toString('hex'), '21d26e010001c4afc0a8ead20000000000000000')
  assert.deepEqual(decodeAdvert(bytes, multicast), { advert: seen, checksum: 'message' })
})

test('PASS stands in the last eight bytes, and a longer password is cut', () => {
  const bytes = encodeAdvert(
    { ...seen, auth: { kind: 'pass', password: 'secret-secret' } },
    multicast,
    'message',
  )
  assert.equal(bytes.toString('latin1', bytes.length - 8), 'secret-s')
  const decoded = decodeAdvert(bytes, multicast)
  assert.deepEqual(decoded.advert?.auth, { kind: 'pass', password: 'secret-s' })
})

test('version 3 on IPv4 is summed with a pseudo header, and both ways are taken', () => {
  const advert: Advert = { ...seen, version: 3, intervalMs: 100 }
  for (const checksum of ['pseudo-header', 'message'] as const) {
    const bytes = encodeAdvert(advert, multicast, checksum)
    assert.deepEqual(decodeAdvert(bytes, multicast), { advert, checksum })
  }
  const bytes = encodeAdvert(advert, multicast, 'pseudo-header')
  const elsewhere = { ...multicast, source: '192.168.234.206' }
  assert.deepEqual(decodeAdvert(bytes, elsewhere), { advert: undefined, reason: 'the checksum is wrong' })
})

test('version 3 on IPv6 has a pseudo header always', () => {
  const envelope = { source: 'fe80::1', destination: 'ff02::12' }
  const advert: Advert = { ...seen, version: 3, intervalMs: 40_950, addresses: ['fe80::210', 'fd00::2:10'] }
  const bytes = encodeAdvert(advert, envelope, 'pseudo-header')
  assert.equal(bytes.length, 8 + 32)
  assert.deepEqual(decodeAdvert(bytes, envelope), { advert, checksum: 'pseudo-header' })
  const other = encodeAdvert(advert, envelope, 'message')
  assert.equal(decodeAdvert(other, envelope).advert, undefined)
})

const refused: readonly (readonly [string, (bytes: Buffer) => Buffer, string])[] = [
  ['cut in its head', bytes => bytes.subarray(0, 7), '7 bytes are too short for an advert'],
  ['cut in its list', bytes => bytes.subarray(0, 15), '15 bytes are too short for 1 addresses'],
  ['of an unknown version', bytes => changed(bytes, 0, 0x41), 'version 4 is not known'],
  ['of another type', bytes => changed(bytes, 0, 0x22), 'type 2 is no advert'],
  ['with a bit turned over', bytes => changed(bytes, 2, 111), 'the checksum is wrong'],
]
for (const [what, damage, reason] of refused) {
  test(`a message ${what} is no advert, and the reason is told`, () => {
    const bytes = damage(encodeAdvert(seen, multicast, 'message'))
    assert.deepEqual(decodeAdvert(bytes, multicast), { advert: undefined, reason })
  })
}

test('bytes behind the message, as some networks pad, change nothing', () => {
  const bytes = Buffer.concat([encodeAdvert(seen, multicast, 'message'), Buffer.alloc(13, 0xff)])
  assert.deepEqual(decodeAdvert(bytes, multicast).advert, seen)
})

test('values that have no bytes are refused when an advert is made', () => {
  const wrong: readonly Partial<Advert>[] = [
    { priority: 256 },
    { routerId: 0 },
    { intervalMs: 1500 },
    { intervalMs: 256_000 },
    { version: 3, intervalMs: 40_960 },
    { addresses: Array.from({ length: 256 }, () => '10.0.0.1') },
  ]
  for (const part of wrong) {
    assert.throws(
      () => encodeAdvert({ ...seen, ...part }, multicast, 'message'),
      RangeError,
      JSON.stringify(part),
    )
  }
})

test('any bytes are read without an error, and what was written is read again', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.boolean(), (bytes, isV6) => {
      const envelope = isV6 ? { source: 'fe80::1', destination: 'ff02::12' } : multicast
      const decoded = decodeAdvert(Buffer.from(bytes), envelope)
      assert.ok(decoded.advert !== undefined || decoded.reason.length > 0)
    }),
    { numRuns: 3000 },
  )
  const advert = fc.record({
    version: fc.constantFrom(2 as const, 3 as const),
    routerId: fc.integer({ min: 1, max: 255 }),
    priority: fc.integer({ min: 0, max: 255 }),
    seconds: fc.integer({ min: 1, max: 40 }),
    addresses: fc.array(fc.ipV4(), { maxLength: 20 }),
  })
  fc.assert(
    fc.property(advert, ({ seconds, ...rest }) => {
      const one: Advert = { ...rest, intervalMs: seconds * 1000, auth: { kind: 'none' } }
      assert.deepEqual(decodeAdvert(encodeAdvert(one, multicast, 'pseudo-header'), multicast).advert, one)
    }),
  )
})

test('addresses are compared as numbers, not as text', () => {
  assert.ok(compareAddresses('10.0.0.9', '10.0.0.10') < 0)
  assert.ok(compareAddresses('fe80::10', 'fe80::9') > 0)
  assert.equal(compareAddresses('fe80::1', 'fe80:0::1'), 0)
})

function changed(bytes: Buffer, at: number, value: number): Buffer {
  const copy = Buffer.from(bytes)
  copy[at] = value
  return copy
}
