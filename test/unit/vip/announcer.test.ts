// Announcements go on after one that failed.

import assert from 'node:assert/strict'
import test from 'node:test'
import { Announcer } from '../../../src/vip/announcer.ts'
import { FakeClock } from '../../support/fake-clock.ts'

test('links that cannot be read cost one announcement, not the process', async () => {
  const clock = new FakeClock()
  let asked = 0
  const announcer = new Announcer(clock, () => {
    asked += 1
    throw new Error('link eth0: ENOBUFS')
  })
  announcer.start()
  await clock.advance(6_000)
  assert.equal(asked, 10)
  await clock.advance(60_000)
  assert.equal(asked, 11)
  announcer.stop()
  assert.equal(clock.timers, 0)
})
