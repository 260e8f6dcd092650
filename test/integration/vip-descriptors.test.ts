// What virtual addresses do in a process that has no descriptor left: nothing of it ends the process.

import assert from 'node:assert/strict'
import { closeSync, openSync } from 'node:fs'
import test, { after } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { kernelMs } from '../../src/commands/vip.ts'
import { realClock } from '../../src/platform/clock.ts'
import type { VipAddress } from '../../src/vip/addresses.ts'
import { GuardLink } from '../../src/vip/guard-link.ts'
import { announceOnce, probe } from '../../src/vip/neighbourhood.ts'
import { Rtnetlink } from '../../src/vip/rtnetlink.ts'
import { limitDescriptors } from '../support/few-descriptors.ts'

const vip: VipAddress = {
  ...{ interfaceName: 'lo', address: '10.77.0.210', family: 4, prefixLength: 32, label: undefined },
}
const netlink = new Rtnetlink()
const lo = netlink.link('lo')
assert.ok(lo !== undefined)
const link = { ...lo, mac: Buffer.from('020000000001', 'hex') }
after(() => netlink.close())
after(limitDescriptors(256))

/** Only until it returns: the test's own reporter wants to open a file, too. */
function withoutDescriptors<T>(run: () => T): T {
  const opened: number[] = []
  try {
    for (;;) opened.push(openSync('/dev/null', 'r'))
  } catch (error) {
    assert.match(`${error}`, /EMFILE/)
    assert.ok(opened.length < 256)
    return run()
  } finally {
    for (const descriptor of opened) closeSync(descriptor)
  }
}

test('an announcement is lost, and nothing else', () => {
  withoutDescriptors(() => {
    announceOnce(link, vip)
    announceOnce(link, { ...vip, address: 'fd77::210', family: 6 })
  })
})

test('a probe fails', async () => {
  const signal = new AbortController().signal
  await assert.rejects(
    withoutDescriptors(() => probe(realClock, link, vip, signal)),
    /EMFILE/,
  )
})

test('a guard cannot be started, which is told and tried again', async () => {
  const orders = { locks: [], addresses: [], command: undefined, environment: {}, store: undefined }
  const words = [process.execPath, '-e', '']
  const events = { onDropped: () => {}, onGone: () => {} }
  const options = { clock: realClock, words, orders, kernelMs }
  const start = withoutDescriptors(() => GuardLink.start(options, events))
  await assert.rejects(start, /the guard process cannot run: .*EMFILE/)
  // What comes after the refusal, comes in the next turns of the loop.
  await sleep(50)
})
