import assert from 'node:assert/strict'
import test from 'node:test'
import { addressBytes, addressText, canonicalAddress } from '../../../src/vip/address-text.ts'
import {
  arpClaim,
  arpProbe,
  gratuitousArp,
  neighbourAnnouncement,
  neighbourClaim,
  neighbourProbe,
} from '../../../src/vip/frames.ts'

const mac = Buffer.from('02000000000a', 'hex')

test('an address goes to bytes and back to its one canonical text', () => {
  const rows = [
    ['10.0.0.9', '10.0.0.9'],
    ['fd00::9', 'fd00::9'],
    ['FD00:0:0:0::0009', 'fd00::9'],
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['::ffff:10.0.0.9', '::ffff:10.0.0.9'],
  ] as const
  for (const [text, canonical] of rows) {
    const found = canonicalAddress(text)
    assert.equal(found?.address, canonical)
    assert.equal(addressText(addressBytes(text, found?.family ?? 4)), canonical)
  }
  for (const text of ['', '10.0.0', '10.0.0.256', 'fd00:::1', 'fe80::1%eth0', 'db.example'])
    assert.equal(canonicalAddress(text), undefined)
})

test('an ARP probe asks for the address and claims nothing', () => {
  const frame = arpProbe(mac, '10.0.0.9')
  assert.equal(
    frame.toString('hex'),
    'ffffffffffff02000000000a08060001080006040001' + '02000000000a00000000' + '0000000000000a000009',
  )
  assert.equal(arpClaim(frame), undefined)
})

test('a gratuitous ARP claims the address as a request and as a reply, to everybody', () => {
  const frames = gratuitousArp(mac, '10.0.0.9')
  assert.deepEqual(
    frames.map(frame => frame.readUInt16BE(20)),
    [1, 2],
  )
  for (const frame of frames) {
    assert.equal(frame.toString('hex', 0, 6), 'ffffffffffff')
    assert.deepEqual(arpClaim(frame), { address: '10.0.0.9', mac: '02:00:00:00:00:0a' })
  }
})

test('a neighbour probe goes from nobody to the address’s own group, with a right checksum', () => {
  const frame = neighbourProbe(mac, 'fd00::9')
  assert.equal(frame.toString('hex', 0, 14), '3333ff00000902000000000a86dd')
  const packet = frame.subarray(14)
  assert.equal(addressText(Buffer.from(packet.subarray(8, 24))), '::')
  assert.equal(addressText(Buffer.from(packet.subarray(24, 40))), 'ff02::1:ff00:9')
  assert.equal(packet.readUInt8(7), 255)
  assert.equal(sumOf(packet), 0xffff)
})

test('a neighbour announcement overrides what all nodes know, with a right checksum', () => {
  const packet = neighbourAnnouncement(mac, 'fd00::9').subarray(14)
  const message = packet.subarray(40)
  assert.equal(message.readUInt8(0), 136)
  assert.equal(message.readUInt32BE(4), 0x20000000)
  assert.equal(addressText(Buffer.from(packet.subarray(24, 40))), 'ff02::1')
  assert.deepEqual(neighbourClaim(message), { address: 'fd00::9', mac: '02:00:00:00:00:0a' })
  assert.equal(sumOf(packet), 0xffff)
})

test('frames that are cut short claim nothing', () => {
  const [frame = Buffer.alloc(0)] = gratuitousArp(mac, '10.0.0.9')
  for (let bytes = 0; bytes < frame.length; bytes += 1)
    assert.equal(arpClaim(frame.subarray(0, bytes)), undefined)
  const message = neighbourAnnouncement(mac, 'fd00::9').subarray(54)
  for (let bytes = 0; bytes < 24; bytes += 1)
    assert.equal(neighbourClaim(message.subarray(0, bytes)), undefined)
  assert.equal(neighbourClaim(message.subarray(0, 24))?.mac, 'unknown')
})

/** Sum of an ICMPv6 packet with its pseudo header: all ones when the checksum is right (RFC 8200, 8.1). */
function sumOf(packet: Buffer): number {
  const length = packet.readUInt16BE(4)
  const bytes = Buffer.concat([
    packet.subarray(8, 40),
    Buffer.from([0, 0, 0, length, 0, 0, 0, 58]),
    packet.subarray(40),
  ])
  let sum = 0
  for (let at = 0; at < bytes.length; at += 2) sum += bytes.readUInt16BE(at)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return sum
}
