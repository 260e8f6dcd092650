// Addresses on an interface of the test's own network: those of IPv6 beside the host's own; and how they go, also with another
// prefix length, written in another way, while another interface has the same, and when this process can open no more sockets.

import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import test, { afterEach, type TestContext } from 'node:test'
import { runChild } from '../../src/platform/child.ts'
import { realClock } from '../../src/platform/clock.ts'
import { Deadline } from '../../src/platform/deadline.ts'
import type { VipAddress } from '../../src/vip/addresses.ts'
import { removeAddresses } from '../../src/vip/removal.ts'
import { Rtnetlink } from '../../src/vip/rtnetlink.ts'
import { limitDescriptors } from '../support/few-descriptors.ts'

const LINK = 'vip0'

async function ip(words: string): Promise<string> {
  const by = Deadline.in(realClock, 10_000)
  const { code, stdout, stderr } = await runChild('ip', words.split(' '), { by })
  assert.equal(code, 0, stderr)
  return stdout
}

const shown = () => ip(`-o address show dev ${LINK}`)

function vip(address: string, prefixLength = address.includes(':') ? 128 : 32): VipAddress {
  return {
    interfaceName: LINK,
    address,
    family: address.includes(':') ? 6 : 4,
    prefixLength,
    label: undefined,
  }
}

if (process.env['PGHERD_ISOLATED'] !== '1')
  throw new Error('this test needs a network of its own: npm test -- FILE')
await ip(`link add ${LINK} type bridge`)
await ip(`link set ${LINK} up`)
afterEach(() => ip(`address flush dev ${LINK}`))

/** The address that the kernel chooses for what this host sends there. */
async function sourceFor(destination: string): Promise<string> {
  const socket = createSocket('udp6')
  socket.connect(9, destination)
  await once(socket, 'connect')
  const { address } = socket.address()
  socket.close()
  return address
}

test('a virtual address of IPv6 is never the sender of the host’s own connections', async () => {
  await ip(`address add fd77::1/64 dev ${LINK} nodad`)
  assert.equal(await sourceFor('fd77::2'), 'fd77::1')
  const netlink = new Rtnetlink()
  const link = netlink.link(LINK)
  assert.ok(link !== undefined)
  for (const prefixLength of [64, 128]) {
    netlink.add(link, vip('fd77::3', prefixLength), 60)
    assert.match(await shown(), new RegExp(`fd77::3/${prefixLength} .*deprecated.* preferred_lft 0sec`))
    assert.equal(await sourceFor('fd77::2'), 'fd77::1')
    // What gives it a new lifetime keeps that so.
    netlink.add(link, vip('fd77::3', prefixLength), 60)
    assert.equal(await sourceFor('fd77::2'), 'fd77::1')
    removeAddresses([vip('fd77::3')])
  }
  netlink.close()
})

test('an address that is there with another prefix length is removed all the same', async () => {
  await ip(`address add 10.77.0.1/16 dev ${LINK}`)
  await ip(`address add 10.77.0.210/24 dev ${LINK}`)
  await ip(`address add 10.77.0.210/28 dev ${LINK}`)
  await ip(`address add fd77::210/64 dev ${LINK} nodad`)
  const { removed, failed } = removeAddresses([vip('10.77.0.210'), vip('fd77::210')])
  assert.deepEqual(removed, [`removed 10.77.0.210 from ${LINK}`, `removed fd77::210 from ${LINK}`])
  assert.deepEqual(failed, [])
  const text = await shown()
  assert.doesNotMatch(text, /\.210|::210/)
  assert.match(text, /10\.77\.0\.1\/16/)
})

test('an address whose text is not the kernel’s is found by its bytes', async () => {
  await ip(`address add fd77::210/64 dev ${LINK} nodad`)
  const { removed } = removeAddresses([vip('FD77:0::210')])
  assert.equal(removed.length, 1)
  assert.doesNotMatch(await shown(), /::210/)
})

/** Both ends of a connection of the address to itself. */
async function session(t: TestContext, address: string) {
  const server = createServer().listen(0, address)
  await once(server, 'listening')
  t.after(() => server.close())
  const client = connect((server.address() as AddressInfo).port, address)
  t.after(() => client.destroy())
  const [accepted] = (await once(server, 'connection')) as [Socket]
  t.after(() => accepted.destroy())
  for (const socket of [client, accepted]) socket.on('error', () => {})
  return { client, accepted }
}

test('a link-local address that goes from one interface costs no connection of the other interface', async t => {
  const other = 'vip1'
  await ip(`link add ${other} type bridge`)
  t.after(() => ip(`link delete ${other}`))
  await ip(`link set ${other} up`)
  for (const link of [LINK, other]) await ip(`address add fe80::1/64 dev ${link} nodad`)
  const [one, kept] = [await session(t, `fe80::1%${LINK}`), await session(t, `fe80::1%${other}`)]
  assert.equal(one.accepted.localAddress, `fe80::1%${LINK}`)
  const heard = new Promise<string>(resolve => {
    kept.accepted.once('data', data => resolve(`${data}`)).once('close', () => resolve('closed'))
  })
  const ended = new Promise<void>(resolve => one.accepted.once('close', () => resolve()))
  assert.match(
    removeAddresses([vip('fe80::1')]).removed.join(),
    /^removed fe80::1 from vip0, \d connections reset$/,
  )
  await ended
  kept.client.write('still here')
  assert.equal(await heard, 'still here')
})

test('with no descriptor left, addresses are removed through the socket that is open', async t => {
  t.after(limitDescriptors(256))
  await ip(`address add 10.77.0.210/32 dev ${LINK}`)
  const netlink = new Rtnetlink()
  const opened: number[] = []
  try {
    const held = useUp(opened)
    assert.match(held, /EMFILE/)
    assert.ok(opened.length < 256)
    const without = removeAddresses([vip('10.77.0.210')])
    assert.deepEqual(without.removed, [])
    assert.match(without.failed.join(), /^cannot remove 10\.77\.0\.210 from vip0: .*EMFILE/)
    assert.equal(removeAddresses([vip('10.77.0.210')], netlink).removed.length, 1)
  } finally {
    for (const descriptor of opened) closeSync(descriptor)
    netlink.close()
  }
  assert.doesNotMatch(await shown(), /\.210/)
})

/** Opens files until there are no more descriptors; the error's text. */
function useUp(opened: number[]): string {
  for (;;) {
    try {
      opened.push(openSync('/dev/null', 'r'))
    } catch (error) {
      return `${error}`
    }
  }
}
