import assert from 'node:assert/strict'
import test from 'node:test'
import { Patience } from '../../../../src/dcs/etcd/patience.ts'
import { Overtaken, Race } from '../../../../src/dcs/etcd/race.ts'
import { FakeClock } from '../../../support/fake-clock.ts'

const after = (clock: FakeClock, delayMs: number, value: string) => () =>
  clock.sleep(delayMs).then(() => value)

test('a slow answer counts although another member was asked meanwhile', async () => {
  const clock = new FakeClock()
  const race = new Race<string>(clock)
  race.start(after(clock, 300, 'slow'))
  const first = race.next(100)
  await clock.advance(100)
  assert.equal(await first, undefined)
  race.start(after(clock, 1_000, 'silent'))
  const second = race.next(500)
  await clock.advance(200)
  assert.deepEqual([await second, race.running], ['slow', 1])
})

test('when nothing can come nobody waits, unless it is a pause', async () => {
  const clock = new FakeClock()
  const race = new Race<string>(clock)
  assert.equal(await race.next(1_000), undefined)
  const pause = race.next(100, true)
  await clock.advance(100)
  assert.equal(await pause, undefined)
  assert.equal(clock.timers, 0)
})

test('the end gives up what is under way, and says why', async () => {
  const clock = new FakeClock()
  const race = new Race<string>(clock)
  let why: unknown
  race.start(
    signal =>
      new Promise(resolve =>
        signal.addEventListener('abort', () => {
          why = signal.reason
          resolve('given up')
        }),
      ),
  )
  race.end()
  assert.ok(why instanceof Overtaken)
})

test('the time for one member follows slow answers and comes back with quick ones', () => {
  const patience = new Patience(3_000)
  assert.equal(patience.attemptMs(3), 1_000)
  patience.note(1_800)
  assert.equal(patience.attemptMs(3), 2_700)
  for (let count = 0; count < 10; count += 1) patience.note(2)
  assert.equal(patience.attemptMs(3), 1_000)
  patience.note(60_000)
  assert.equal(patience.attemptMs(3), 3_750, 'a frozen member’s answer says little about the others')
  assert.equal(new Patience(1_000).attemptMs(9), 200)
  assert.equal(new Patience(60_000).attemptMs(1), 1_500)
})
