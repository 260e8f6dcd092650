// A keeper whose guard finds the address taken: what it lacks says so.

import assert from 'node:assert/strict'
import test from 'node:test'
import { waitFor } from '../../../src/demo/wait.ts'
import { realClock } from '../../../src/platform/clock.ts'
import { CommandKeeper } from '../../../src/vip/command-keeper.ts'

test('a keeper whose address another process keeps says that it lacks a guard, and why', async t => {
  const say = () => {}
  const log = { debug: say, info: say, warning: say, error: say, critical: say, with: () => log }
  const keeper = new CommandKeeper({
    ...{ clock: realClock, log, name: 'busy', kernelMs: () => realClock.monotonicMs(), store: undefined },
    ...{ stallMs: 1_000, timeoutMs: 1_000, guardWords: ['/bin/sh', '-c', 'echo busy; cat'] },
    addresses: [{ interfaceName: '', address: '203.0.113.9', family: 4, prefixLength: 32, label: undefined }],
    commands: { add: ['true'], del: ['true'], check: undefined },
  })
  t.after(() => keeper.close())
  const told: (string | undefined)[] = []
  await keeper.open({ onDropped: say, onChanged: () => void told.push(keeper.lacks) })
  await waitFor('the failure', { withinMs: 10_000, everyMs: 5 }, () => told.length > 0)
  assert.match(
    told[0] ?? '',
    /^the guard process does not run yet: 203\.0\.113\.9: another pgherd process of this host/,
  )
})
