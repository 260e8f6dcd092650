// The keeper of addresses that commands move, with a real guard: a slow removal runs once, and an addition whose time is over
// not at all.

import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { after, type TestContext } from 'node:test'
import { kernelMs } from '../../src/commands/vip.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { realClock } from '../../src/platform/clock.ts'
import { Deadline } from '../../src/platform/deadline.ts'
import { CommandKeeper } from '../../src/vip/command-keeper.ts'

/** Longer than this process stands still on a busy machine, and shorter than the removal takes. */
const STALL_MS = 2_000
const SLOW_MS = 3_000
const MAIN = path.resolve(import.meta.dirname, '../../src/main.ts')

const folder = await mkdtemp(path.join(tmpdir(), 'pgherd-command-'))
after(() => rm(folder, { recursive: true }))

/** A keeper whose guard runs, whose removal takes its time, and what its commands wrote down. */
async function keeper(t: TestContext, name: string) {
  const file = path.join(folder, name)
  const words = (word: string, seconds: number) => [
    '/bin/sh',
    '-c',
    `echo ${word} >> ${file}; sleep ${seconds}; echo ${word} ended >> ${file}`,
  ]
  const say = () => {}
  const log = { debug: say, info: say, warning: say, error: say, critical: say, with: () => log }
  const one = new CommandKeeper({
    ...{ clock: realClock, log, name, kernelMs, store: undefined, stallMs: STALL_MS, timeoutMs: 5_000 },
    addresses: [{ interfaceName: '', address: '203.0.113.9', family: 4, prefixLength: 32, label: undefined }],
    commands: { add: words('add', 0), del: words('del', SLOW_MS / 1000), check: undefined },
    guardWords: [process.execPath, MAIN, 'vip', 'guard'],
  })
  t.after(() => one.close())
  await one.open({ onDropped: say, onChanged: say })
  await waitFor('the guard', { withinMs: 60_000, everyMs: 10 }, () => one.fault === undefined)
  const ran = async () => (await readFile(file, 'utf8')).trim().split('\n')
  const settle = () => one.settle(Deadline.in(realClock, 20_000))
  const take = (forMs: number) => one.take({ untilMs: realClock.monotonicMs() + forMs, probe: false })
  return { one, ran, settle, take }
}

test('a removal that takes longer than a stall is not run by the guard, too', async t => {
  const { one, ran, settle, take } = await keeper(t, 'slow')
  assert.equal((await take(60_000)).outcome, 'held')
  one.drop('a test')
  await settle()
  // Its guard ends last: whatever that runs has then been written down.
  await one.close()
  assert.deepEqual(await ran(), ['add', 'add ended', 'del', 'del ended'])
})

test('an addition that waits behind a removal is left out when its owner has lost meanwhile', async t => {
  const { one, ran, settle, take } = await keeper(t, 'lost')
  assert.equal((await take(60_000)).outcome, 'held')
  one.drop('a test')
  const again = take(60_000)
  await waitFor('the removal', { withinMs: 60_000, everyMs: 10 }, async () => (await ran()).includes('del'))
  one.drop('lost again')
  assert.equal((await again).outcome, 'cancelled')
  await settle()
  assert.deepEqual((await ran()).filter(line => line === 'add').length, 1)
})

test('an addition that waits behind a removal is left out when its lease has ended meanwhile', async t => {
  const { one, ran, settle, take } = await keeper(t, 'late')
  assert.equal((await take(60_000)).outcome, 'held')
  one.drop('a test')
  assert.equal((await take(SLOW_MS / 2)).outcome, 'cancelled')
  await settle()
  assert.deepEqual((await ran()).filter(line => line === 'add').length, 1)
})
