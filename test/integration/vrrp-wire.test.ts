// The raw sockets of an instance on an interface of the test's own network: peers without a route, and an address that goes.

import assert from 'node:assert/strict'
import test, { afterEach } from 'node:test'
import { runChild } from '../../src/platform/child.ts'
import { realClock } from '../../src/platform/clock.ts'
import { Deadline } from '../../src/platform/deadline.ts'
import { nativeLibrary } from '../../src/platform/native.ts'
import { openWire, type Wire } from '../../src/vip/vrrp/raw-socket.ts'

const LINK = 'wire0'
const SOURCE = '10.77.0.1'
const SOURCE6 = 'fd77::1'
/** No route goes there. IPv4 would take it for a neighbour, since the sockets are bound to the interface. */
const LOST = '2001:db8::1'

async function ip(words: string): Promise<void> {
  const by = Deadline.in(realClock, 10_000)
  const { code, stderr } = await runChild('ip', words.split(' '), { by })
  assert.equal(code, 0, stderr)
}

if (process.env['PGHERD_ISOLATED'] !== '1')
  throw new Error('this test needs a network of its own: npm test -- FILE')
await ip(`link add ${LINK} type bridge`)
await ip(`link set ${LINK} up`)
await ip(`address add ${SOURCE}/24 dev ${LINK}`)
await ip(`address add ${SOURCE6}/64 dev ${LINK} nodad`)

let wire: Wire | undefined
afterEach(() => wire?.close())

function open(peers?: readonly string[]): Wire {
  const own =
    peers === undefined
      ? ({ family: 4, source: SOURCE, group: '224.0.0.18' } as const)
      : ({ family: 6, source: SOURCE6, group: 'ff02::12' } as const)
  wire = openWire(nativeLibrary(), { ...own, interfaceName: LINK, peers, onArrival: () => {} })
  return wire
}

const advert = () => Buffer.alloc(16)

test('an advert that one peer takes has left; who cannot be reached is named', () => {
  const [failure, ...others] = open(['fd77::2', LOST]).send(advert)
  assert.match(failure ?? '', /^to 2001:db8::1: .*ENETUNREACH/)
  assert.deepEqual(others, [])
})

test('an advert that no peer takes has not left', () => {
  assert.throws(() => open([LOST, '2001:db8::2']).send(advert), /2001:db8::1: .*; to 2001:db8::2: /)
})

test('nothing is sent from an address that has gone', async () => {
  const one = open()
  assert.deepEqual(one.send(advert), [])
  await ip(`address del ${SOURCE}/24 dev ${LINK}`)
  assert.throws(() => one.send(advert), /EINVAL|EADDRNOTAVAIL|ENETUNREACH/)
})
