// Which adverts count. Each row is a packet that differs in one thing from one that is accepted.

import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { type Advert, encodeAdvert } from '../../../../src/vip/vrrp/packet.ts'
import { type Arrival, type Expectation, judge } from '../../../../src/vip/vrrp/receive.ts'

const expected: Expectation = {
  version: 2,
  family: 4,
  routerId: 210,
  advertMs: 1000,
  auth: { kind: 'pass', password: 'secret' },
  addresses: ['10.0.0.210', '10.0.0.211'],
  ownAddress: '10.0.0.1',
  peers: undefined,
  checksPeer: false,
}
const good: Advert = {
  version: 2,
  routerId: 210,
  priority: 100,
  intervalMs: 1000,
  auth: { kind: 'pass', password: 'secret' },
  addresses: ['10.0.0.210', '10.0.0.211'],
}

interface Row {
  readonly what: string
  readonly advert?: Partial<Advert>
  readonly packet?: Partial<Arrival>
  readonly expects?: Partial<Expectation>
  readonly verdict: string
}

const unicast = { destination: '10.0.0.1' }
const peers = ['10.0.0.2', '10.0.0.3']
const rows: readonly Row[] = [
  { what: 'an advert as agreed', verdict: 'accept' },
  { what: 'another router on the same network', advert: { routerId: 211 }, verdict: 'ignore' },
  { what: 'our own advert that came back', packet: { source: '10.0.0.1' }, verdict: 'ignore' },
  { what: 'one that a router passed on', packet: { hopLimit: 254 }, verdict: 'refuse hop-limit' },
  { what: 'another version', advert: { version: 3, auth: { kind: 'none' } }, verdict: 'refuse version' },
  { what: 'no authentication', advert: { auth: { kind: 'none' } }, verdict: 'refuse auth-type' },
  {
    what: 'authentication of a type that is gone',
    advert: { auth: { kind: 'other', type: 2 } },
    verdict: 'refuse auth-type',
  },
  {
    what: 'another password',
    advert: { auth: { kind: 'pass', password: 'Secret' } },
    verdict: 'refuse password',
  },
  { what: 'another interval in version 2', advert: { intervalMs: 2000 }, verdict: 'refuse interval' },
  {
    what: 'addresses in another order',
    advert: { addresses: ['10.0.0.211', '10.0.0.210'] },
    verdict: 'accept',
  },
  { what: 'an address less', advert: { addresses: ['10.0.0.210'] }, verdict: 'accept differs' },
  { what: 'another address', advert: { addresses: ['10.0.0.210', '10.0.0.9'] }, verdict: 'accept differs' },
  { what: 'unicast although nobody is configured so', packet: unicast, verdict: 'refuse mode' },
  { what: 'unicast from a peer', packet: unicast, expects: { peers }, verdict: 'accept' },
  {
    what: 'unicast over a router',
    packet: { ...unicast, hopLimit: 60 },
    expects: { peers },
    verdict: 'accept',
  },
  { what: 'multicast although peers are configured', expects: { peers }, verdict: 'refuse mode' },
  {
    what: 'unicast from a stranger',
    packet: { ...unicast, source: '10.0.0.9' },
    expects: { peers },
    verdict: 'accept',
  },
  {
    what: 'unicast from a stranger, with check_unicast_src',
    packet: { ...unicast, source: '10.0.0.9' },
    expects: { peers, checksPeer: true },
    verdict: 'refuse peer',
  },
  {
    what: 'another interval in version 3',
    advert: { version: 3, intervalMs: 100, auth: { kind: 'none' } },
    expects: { version: 3, auth: { kind: 'none' } },
    verdict: 'accept',
  },
]

for (const row of rows) {
  test(`${row.what}: ${row.verdict}`, () => {
    const envelope = { source: '10.0.0.2', destination: '224.0.0.18', ...row.packet }
    const bytes = encodeAdvert({ ...good, ...row.advert }, envelope, 'pseudo-header')
    const verdict = judge({ ...expected, ...row.expects }, { hopLimit: 255, bytes, ...envelope })
    assert.equal(printed(verdict), row.verdict)
  })
}

test('a damaged advert of our router is refused with its reason, that of another one ignored', () => {
  const envelope = { source: '10.0.0.2', destination: '224.0.0.18', hopLimit: 255 }
  const bytes = encodeAdvert(good, envelope, 'message')
  bytes[6] = (bytes[6] ?? 0) ^ 1
  assert.equal(printed(judge(expected, { ...envelope, bytes })), 'refuse malformed')
  bytes[1] = 7
  assert.equal(printed(judge(expected, { ...envelope, bytes })), 'ignore')
})

test('any packet is judged without an error', () => {
  const packet = fc.record({
    bytes: fc.uint8Array({ maxLength: 80 }).map(bytes => Buffer.from(bytes)),
    source: fc.ipV4(),
    destination: fc.oneof(fc.ipV4(), fc.constant('224.0.0.18')),
    hopLimit: fc.option(fc.integer({ min: 0, max: 255 }), { nil: undefined }),
    isOurs: fc.boolean(),
  })
  fc.assert(
    fc.property(packet, ({ isOurs, ...arrival }) => {
      if (isOurs && arrival.bytes.length > 1) arrival.bytes[1] = 210
      assert.match(judge(expected, arrival).kind, /^(?:accept|ignore|refuse)$/)
    }),
    { numRuns: 2000 },
  )
})

function printed(verdict: ReturnType<typeof judge>): string {
  if (verdict.kind === 'refuse') return `refuse ${verdict.reason}`
  return verdict.kind === 'accept' && verdict.differs !== undefined ? 'accept differs' : verdict.kind
}
