import assert from 'node:assert/strict'
import test from 'node:test'
import { Deadline, DeadlineError } from '../../../src/platform/deadline.ts'
import { OneByOne } from '../../../src/platform/one-by-one.ts'
import { FakeClock } from '../../support/fake-clock.ts'

test('works begin one after the other, in order, and a failure stops nobody', async () => {
  const clock = new FakeClock()
  const line = new OneByOne()
  const seen: string[] = []
  const work = (name: string) => async () => {
    seen.push(`${name} begins`)
    await Promise.resolve()
    seen.push(`${name} ends`)
    if (name === 'b') throw new Error('b failed')
    return name
  }
  const runs = ['a', 'b', 'c'].map(name => line.run(name, Deadline.in(clock, 1_000), work(name)))
  const ends = await Promise.allSettled(runs)
  assert.deepEqual(seen, ['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends'])
  assert.deepEqual(
    ends.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  )
})

test('behind a work that hangs others end at their deadlines and never begin, also when it comes back', async () => {
  const clock = new FakeClock()
  const line = new OneByOne()
  let comeBack: () => void = () => {}
  const hanging = line.run(
    'first',
    Deadline.in(clock, 500),
    () => new Promise<void>(resolve => (comeBack = resolve)),
  )
  let begun = 0
  const behind = line.run('second', Deadline.in(clock, 500), async () => {
    begun += 1
  })
  const ends = Promise.allSettled([hanging, behind])
  await clock.advance(501)
  for (const end of await ends) assert.ok(end.status === 'rejected' && end.reason instanceof DeadlineError)
  comeBack()
  assert.equal(await line.run('third', Deadline.in(clock, 500), async () => 'goes on'), 'goes on')
  assert.equal(begun, 0)
})

test('a thousand wait at most', async () => {
  const clock = new FakeClock()
  const line = new OneByOne()
  const runs = [line.run('hangs', Deadline.in(clock, 500), () => new Promise<void>(() => {}))]
  // The first leaves the line when it begins.
  await Promise.resolve()
  for (let made = 0; made < 1_000; made += 1)
    runs.push(line.run('waits', Deadline.in(clock, 500), async () => {}))
  await assert.rejects(
    line.run('too many', Deadline.in(clock, 1e9), async () => {}),
    /too many did not finish/,
  )
  const ends = Promise.allSettled(runs)
  await clock.advance(501)
  assert.equal((await ends).length, 1_001)
})
