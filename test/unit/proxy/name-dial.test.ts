// A server that is given by name: its addresses are dialed in turn, the first that answers counts.

import assert from 'node:assert/strict'
import test from 'node:test'
import { NameDial, NEXT_AFTER_MS } from '../../../src/proxy/relay/name-dial.ts'
import { Names } from '../../../src/proxy/relay/names.ts'
import type { DialListener, Wire } from '../../../src/proxy/relay/wire.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const LOOK_UP_MS = 3_000

/** Dials db1:5432; the test answers for its addresses. */
class Network {
  readonly clock = new FakeClock()
  readonly happened: string[] = []
  readonly listeners = new Map<string, DialListener>()
  readonly dial: NameDial

  constructor(addresses: readonly string[] | Error | Promise<never>, source?: string) {
    const names = new Names(this.clock, async () => {
      if (addresses instanceof Error) throw addresses
      return addresses
    })
    const listener = {
      onConnected: (wire: Wire) => void this.happened.push(`connected to ${wire.endpoints().source}`),
      onFailed: (error: NodeJS.ErrnoException) => void this.happened.push(`${error.code}: ${error.message}`),
    }
    const dial = ({ host, port }: { host: string; port: number }, _: unknown, its: DialListener) => {
      this.happened.push(`dials ${host}:${port}`)
      this.listeners.set(host, its)
      return { abort: () => void this.happened.push(`leaves ${host}`) }
    }
    const options = { keepAliveMs: 30_000, lookUpMs: LOOK_UP_MS, source }
    const parts = { clock: this.clock, names, dial }
    this.dial = new NameDial(parts, { host: 'db1', port: 5432 }, options, listener)
  }

  /** What happened since the last call. */
  async news(afterMs = 0): Promise<readonly string[]> {
    await this.clock.advance(afterMs)
    return this.happened.splice(0)
  }

  connect(host: string): void {
    const wire = { endpoints: () => ({ source: host }) }
    this.listeners.get(host)?.onConnected(wire as unknown as Wire)
  }

  refuse(host: string): void {
    const error = Object.assign(new Error(`connect ECONNREFUSED ${host}:5432`), { code: 'ECONNREFUSED' })
    this.listeners.get(host)?.onFailed(error)
  }
}

test('the addresses are dialed in the order of the system, the next one as soon as one refuses', async () => {
  const network = new Network(['10.0.0.4', 'fd00::5', '10.0.0.6'])
  assert.deepEqual(await network.news(), ['dials 10.0.0.4:5432'])
  network.refuse('10.0.0.4')
  assert.deepEqual(await network.news(), ['dials fd00::5:5432'])
  network.connect('fd00::5')
  assert.deepEqual(await network.news(60_000), ['connected to fd00::5'])
  assert.equal(network.clock.timers, 0)
})

test('beside an address that says nothing the next one is tried, and the one that answers first counts', async () => {
  const network = new Network(['10.0.0.4', '10.0.0.5'])
  await network.news()
  assert.deepEqual(await network.news(NEXT_AFTER_MS - 1), [])
  assert.deepEqual(await network.news(1), ['dials 10.0.0.5:5432'])
  network.connect('10.0.0.4')
  const left = ['leaves 10.0.0.5', 'connected to 10.0.0.4']
  assert.deepEqual(await network.news(), left, 'a slow way is not given up')
})

test('at most two addresses are tried beside each other: the oldest is given up for the next one', async () => {
  const network = new Network(['10.0.0.4', '10.0.0.5', '10.0.0.6'])
  await network.news(NEXT_AFTER_MS)
  network.happened.length = 0
  assert.deepEqual(await network.news(NEXT_AFTER_MS), ['leaves 10.0.0.4', 'dials 10.0.0.6:5432'])
  network.refuse('10.0.0.6')
  network.refuse('10.0.0.5')
  const all = ['ETIMEDOUT 10.0.0.4:5432', 'ECONNREFUSED 10.0.0.6:5432', 'ECONNREFUSED 10.0.0.5:5432']
  assert.deepEqual(await network.news(), [`ETIMEDOUT: ${all.map(each => `connect ${each}`).join('; ')}`])
  assert.equal(network.clock.timers, 0)
})

test('a look-up that hangs fails as one, before whoever dials gives the server up for it', async () => {
  const network = new Network(new Promise(() => {}))
  assert.deepEqual(await network.news(LOOK_UP_MS - 1), [])
  assert.deepEqual(await network.news(1), [
    `ETIMEOUT: the look-up of db1 has not ended within ${LOOK_UP_MS} ms: look at the name servers of this host`,
  ])
  assert.deepEqual(await network.news(60_000), [])
})

test('a server fails when all its addresses have failed, and the error names each', async () => {
  const network = new Network(['10.0.0.4', '10.0.0.5'])
  await network.news(NEXT_AFTER_MS)
  network.happened.length = 0
  network.refuse('10.0.0.5')
  assert.deepEqual(await network.news(60_000), [], 'the first one may still answer')
  network.refuse('10.0.0.4')
  assert.deepEqual(await network.news(), [
    'ECONNREFUSED: connect ECONNREFUSED 10.0.0.5:5432; connect ECONNREFUSED 10.0.0.4:5432',
  ])
  const one = new Network(['10.0.0.4'])
  await one.news()
  one.refuse('10.0.0.4')
  assert.deepEqual(await one.news(), ['ECONNREFUSED: connect ECONNREFUSED 10.0.0.4:5432'])
})

test('a name that is not found fails with what the resolver said', async () => {
  const error = Object.assign(new Error('getaddrinfo ENOTFOUND db1'), { code: 'ENOTFOUND' })
  assert.deepEqual(await new Network(error).news(), ['ENOTFOUND: getaddrinfo ENOTFOUND db1'])
})

test('whoever aborts hears nothing more, during the look-up and during the connect', async () => {
  const early = new Network(['10.0.0.4'])
  early.dial.abort()
  assert.deepEqual(await early.news(60_000), [])
  const late = new Network(['10.0.0.4', '10.0.0.5'])
  await late.news()
  late.dial.abort()
  assert.deepEqual(await late.news(60_000), ['leaves 10.0.0.4'])
  late.dial.abort()
  assert.deepEqual([await late.news(), late.clock.timers], [[], 0])
})

test('only addresses that the source can reach are dialed', async () => {
  const network = new Network(['fd00::5', '10.0.0.4'], '10.9.0.1')
  assert.deepEqual(await network.news(), ['dials 10.0.0.4:5432'])
  const none = new Network(['fd00::5'], '10.9.0.1')
  assert.deepEqual(await none.news(), [
    'EAFNOSUPPORT: db1 has no address of the family of the source 10.9.0.1: give the server an address, or take another source',
  ])
})
