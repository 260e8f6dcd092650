// One link-local address on two interfaces, as gateways have it: two addresses for the lock and for whoever asks.

import assert from 'node:assert/strict'
import test from 'node:test'
import { realClock } from '../../../src/platform/clock.ts'
import { Deadline } from '../../../src/platform/deadline.ts'
import { lockNames } from '../../../src/vip/address-scope.ts'
import type { AddressKeeper, VipAddress } from '../../../src/vip/addresses.ts'
import { lockAddresses } from '../../../src/vip/host-lock.ts'
import { mayServe } from '../../../src/vip/may-serve.ts'

function vip(address: string, interfaceName: string): VipAddress {
  const family = address.includes(':') ? 6 : 4
  return { interfaceName, address, family, prefixLength: family === 4 ? 32 : 128, label: undefined }
}

const names = (address: string, interfaceName: string) => lockNames([vip(address, interfaceName)])

test('a link-local address is locked for its interface, any other for the host', () => {
  assert.deepEqual(names('fe80::1', 'eth0.10'), ['fe80::1%eth0.10'])
  assert.deepEqual(names('febf::1', 'eth0.10'), ['febf::1%eth0.10'])
  assert.deepEqual(names('fec0::1', 'eth0.10'), ['fec0::1'])
  assert.deepEqual(names('fd77::1', 'eth0.10'), ['fd77::1'])
  assert.deepEqual(names('169.254.0.1', 'eth0.10'), ['169.254.0.1'])
  // A command's own affair: on which interface it is, nobody knows.
  assert.deepEqual(names('fe80::1', ''), ['fe80::1'])
})

test('one link-local address on two interfaces has two keepers on a host, on one interface one', async () => {
  const lock = (interfaceName: string) =>
    lockAddresses(realClock, names('fe80::77:1', interfaceName), Deadline.in(realClock, 100))
  const [one, other] = [await lock('eth0.10'), await lock('eth0.20')]
  assert.ok(one !== undefined && other !== undefined)
  assert.equal(await lock('eth0.20'), undefined)
  one.release()
  other.release()
})

function keeper(address: string, interfaceName: string, isHeld: boolean) {
  return { addresses: [vip(address, interfaceName)], check: () => isHeld } as unknown as AddressKeeper
}

test('a client is served by whether the interface that it came through has the link-local address', () => {
  const keepers = [keeper('fe80::1', 'eth0.10', false), keeper('fe80::1', 'eth0.20', true)]
  assert.equal(mayServe(keepers, 'fe80::1%eth0.10'), false)
  assert.equal(mayServe(keepers, 'fe80::1%eth0.20'), true)
  // Nobody's virtual address: this host's own on another interface.
  assert.equal(mayServe(keepers, 'fe80::1%eth1'), true)
  // Without its interface: as long as we have it anywhere.
  assert.equal(mayServe(keepers, 'fe80::1'), true)
  assert.equal(mayServe(keepers.slice(0, 1), 'fe80::1'), false)
})

test('a client is served at any other address by whether this host has it', () => {
  const keepers = [keeper('10.0.0.100', 'eth0', false), keeper('fd77::1', 'eth0', true)]
  assert.equal(mayServe(keepers, '::ffff:10.0.0.100'), false)
  assert.equal(mayServe(keepers, '10.0.0.100'), false)
  assert.equal(mayServe(keepers, 'fd77::1'), true)
  assert.equal(mayServe(keepers, '10.0.0.1'), true)
  assert.equal(mayServe([keeper('10.0.0.100', '', false)], '10.0.0.100'), true)
})
