// Names of servers: looked up once for all who come together, followed when they move, never served stale.

import assert from 'node:assert/strict'
import { isIP } from 'node:net'
import test from 'node:test'
import {
  bySystem,
  KEPT_MS,
  LOOK_UP_MAX_MS,
  NAMES_MAX,
  Names,
  type Search,
} from '../../../src/proxy/relay/names.ts'
import { FakeClock } from '../../support/fake-clock.ts'

/** A resolver whose answers the test gives by hand. */
class Resolver {
  readonly clock = new FakeClock()
  readonly asked: string[] = []
  readonly heard: string[] = []
  readonly names = new Names(this.clock, name => {
    this.asked.push(name)
    const answer = Promise.withResolvers<readonly string[]>()
    this.#answers.push(answer)
    return answer.promise
  })
  #answers: PromiseWithResolvers<readonly string[]>[] = []

  find(name: string, whose = name): Search {
    return this.names.find(name, {
      onFound: addresses => void this.heard.push(`${whose}: ${addresses.join()}`),
      onNotFound: error => void this.heard.push(`${whose}: ${error.code} ${error.message}`),
    })
  }

  /** Ends the oldest look-up. */
  async answer(answer: readonly string[] | Error): Promise<void> {
    const asked = this.#answers.shift()
    if (answer instanceof Error) asked?.reject(answer)
    else asked?.resolve(answer)
    await this.clock.advance(0)
  }

  /** What was heard since the last call. */
  news(): readonly string[] {
    return this.heard.splice(0)
  }
}

const notFound = Object.assign(new Error('getaddrinfo ENOTFOUND db1'), { code: 'ENOTFOUND' })

test('sessions that come together share one look-up, and those of the next second take its answer', async () => {
  const resolver = new Resolver()
  for (let count = 0; count < 3; count += 1) resolver.find('db1')
  resolver.find('db2')
  assert.deepEqual([resolver.asked, resolver.news()], [['db1', 'db2'], []])
  await resolver.answer(['10.0.0.4', '10.0.0.5'])
  assert.deepEqual(resolver.news(), Array(3).fill('db1: 10.0.0.4,10.0.0.5'))
  await resolver.clock.advance(KEPT_MS - 1)
  resolver.find('db1')
  assert.deepEqual(resolver.news(), ['db1: 10.0.0.4,10.0.0.5'])
  assert.deepEqual(resolver.asked, ['db1', 'db2'])
})

test('a name that moves is followed after a second, and its old address is not served while the new one is asked for', async () => {
  const resolver = new Resolver()
  resolver.find('db1')
  await resolver.answer(['10.0.0.4'])
  await resolver.clock.advance(KEPT_MS)
  resolver.news()
  resolver.find('db1')
  assert.deepEqual([resolver.asked.length, resolver.news()], [2, []])
  await resolver.answer(['10.0.0.9'])
  assert.deepEqual(resolver.news(), ['db1: 10.0.0.9'])
})

test('a name that is not found any more fails those who ask, and is asked for again each time', async () => {
  const resolver = new Resolver()
  resolver.find('db1')
  await resolver.answer(['10.0.0.4'])
  await resolver.clock.advance(KEPT_MS)
  resolver.news()
  for (const answer of [notFound, []] as const) {
    resolver.find('db1')
    await resolver.answer(answer)
  }
  resolver.find('db1')
  assert.deepEqual(resolver.news(), [
    'db1: ENOTFOUND getaddrinfo ENOTFOUND db1',
    'db1: ENOTFOUND db1 has no address',
  ])
  assert.equal(resolver.asked.length, 4)
})

test('whoever aborts hears nothing; the others do, and the answer is kept', async () => {
  const resolver = new Resolver()
  const search = resolver.find('db1', 'left')
  resolver.find('db1', 'stayed')
  search.abort()
  await resolver.answer(['10.0.0.4'])
  assert.deepEqual(resolver.news(), ['stayed: 10.0.0.4'])
  const only = resolver.find('db2')
  only.abort()
  await resolver.answer(['10.0.0.5'])
  resolver.find('db2', 'later')
  assert.deepEqual([resolver.asked.length, resolver.news()], [2, ['later: 10.0.0.5']])
})

test('a resolver that hangs fails those who wait in time, is not asked a second time beside, and counts when it answers', async () => {
  const resolver = new Resolver()
  resolver.find('db1', 'first')
  await resolver.clock.advance(LOOK_UP_MAX_MS - 1)
  resolver.find('db1', 'second')
  assert.deepEqual(resolver.news(), [])
  await resolver.clock.advance(1)
  const says = 'ETIMEOUT the look-up of db1 has not ended within 10 s: look at the name servers of this host'
  assert.deepEqual(resolver.news(), [`first: ${says}`, `second: ${says}`])
  resolver.find('db1', 'third')
  resolver.find('db1', 'aborted').abort()
  assert.deepEqual(resolver.news(), [], 'later, not within the call')
  await resolver.clock.advance(0)
  assert.deepEqual([resolver.news(), resolver.asked.length], [[`third: ${says}`], 1])
  await resolver.answer(['10.0.0.4'])
  resolver.find('db1')
  assert.deepEqual([resolver.news(), resolver.asked.length], [['db1: 10.0.0.4'], 1])
  assert.equal(resolver.clock.timers, 0)
})

test('names that are being looked up, and names whose answers are kept, have a bound', async () => {
  const resolver = new Resolver()
  for (let count = 0; count <= NAMES_MAX; count += 1) resolver.find(`db${count}`)
  await resolver.clock.advance(0)
  assert.deepEqual(resolver.news(), [
    `db${NAMES_MAX}: EBUSY db${NAMES_MAX} was not looked up: ${NAMES_MAX} other names are being looked up`,
  ])
  for (let count = 0; count < NAMES_MAX; count += 1) await resolver.answer(['10.0.0.4'])
  resolver.find('one more')
  await resolver.answer(['10.0.0.5'])
  resolver.find('db1')
  assert.equal(resolver.asked.length, NAMES_MAX + 1)
  resolver.find('db0')
  assert.equal(resolver.asked.length, NAMES_MAX + 2, 'the oldest one had to go')
})

test('the system’s own look-up knows the names of /etc/hosts', async () => {
  const addresses = await bySystem('localhost')
  assert.ok(addresses.length > 0 && addresses.every(address => isIP(address) !== 0), addresses.join())
})
