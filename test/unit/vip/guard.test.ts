// The guard on its own: when it lets others take what its parent held.

import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import test from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { waitFor } from '../../../src/demo/wait.ts'
import { realClock } from '../../../src/platform/clock.ts'
import { runGuard } from '../../../src/vip/guard.ts'

/** A guard without addresses: its pipe, what it said, and the leases that it gave back. Its clock is the test's. */
function guard() {
  const input = new PassThrough()
  const output = new PassThrough()
  const released: (string | undefined)[] = []
  const kernel = { nowMs: 0 }
  let said = ''
  output.on('data', (chunk: Buffer) => {
    said += chunk.toString('utf8')
  })
  const ended = runGuard({
    clock: realClock,
    input,
    output,
    kernelMs: () => kernel.nowMs,
    release: async (_orders, leaseId) => void released.push(leaseId),
    log: () => {},
  })
  const tell = (line: string) => input.write(`${line}\n`)
  tell(`hello ${JSON.stringify({ locks: [], addresses: [], environment: {}, store: {} })}`)
  tell('lease 42')
  const heard = (word: string) =>
    waitFor(`the guard to say ${word}`, { withinMs: 10_000, everyMs: 5 }, () => said.includes(word))
  const end = async () => {
    input.end()
    await ended
  }
  return { tell, heard, kernel, released, end }
}

test('a parent that stays silent after its deadline has its lease given back, once', async () => {
  const { tell, heard, kernel, released, end } = guard()
  tell('hold 1000')
  kernel.nowMs = 1_010
  await heard('dropped 10')
  await sleep(60)
  assert.deepEqual(released, [])
  kernel.nowMs = 1_210
  await waitFor('the lease', { withinMs: 10_000, everyMs: 5 }, () => released.length > 0)
  await end()
  assert.deepEqual(released, ['42'])
})

test('a parent that was only late keeps the care for its lease', async () => {
  const { tell, heard, kernel, released, end } = guard()
  tell('hold 1000')
  // The guard itself stood still: long past the deadline when it looks.
  kernel.nowMs = 5_000
  await heard('dropped 4000')
  tell('free')
  await sleep(60)
  kernel.nowMs = 9_000
  await sleep(60)
  assert.deepEqual(released, [])
  await end()
  assert.deepEqual(released, [])
})

test('a parent that ends as owner has its lease given back at once', async () => {
  const { tell, heard, released, end } = guard()
  tell('hold 1000')
  tell('pet 1100')
  await heard('ok')
  await end()
  assert.deepEqual(released, ['42'])
})
