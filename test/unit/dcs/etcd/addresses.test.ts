import assert from 'node:assert/strict'
import test from 'node:test'
import { Addresses } from '../../../../src/dcs/etcd/addresses.ts'
import { FakeClock } from '../../../support/fake-clock.ts'

test('an address needs no resolver', async () => {
  const addresses = new Addresses('10.0.0.4', new FakeClock(), () => assert.fail('asked'))
  assert.deepEqual(await addresses.get(), ['10.0.0.4'])
})

test('a resolver that hangs does not take away what is known, and is asked once', async () => {
  const clock = new FakeClock()
  let asked = 0
  const addresses = new Addresses('etcd1', clock, () => {
    asked += 1
    return asked === 1 ? Promise.resolve(['10.0.0.4']) : new Promise(() => {})
  })
  assert.deepEqual(await addresses.get(), ['10.0.0.4'])
  await clock.advance(60_000)
  for (let count = 0; count < 5; count += 1) assert.deepEqual(await addresses.get(), ['10.0.0.4'])
  assert.equal(asked, 2)
})

test('a name that moved is followed after its age is over', async () => {
  const clock = new FakeClock()
  let answer = ['10.0.0.4']
  const addresses = new Addresses('etcd1', clock, async () => answer)
  await addresses.get()
  answer = ['10.0.0.9']
  await clock.advance(31_000)
  await addresses.get()
  await clock.advance(0)
  assert.deepEqual(await addresses.get(), ['10.0.0.9'])
})

test('an unknown name is an error until it is known', async () => {
  let isKnown = false
  const addresses = new Addresses('etcd1', new FakeClock(), async () => {
    if (!isKnown) throw new Error('getaddrinfo ENOTFOUND etcd1')
    return ['10.0.0.4']
  })
  await assert.rejects(addresses.get(), /ENOTFOUND/)
  isKnown = true
  assert.deepEqual(await addresses.get(), ['10.0.0.4'])
})
