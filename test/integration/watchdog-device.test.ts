// The driver of /dev/watchdog against a device whose ioctls answer as the kernel's do, beside Patroni's own driver.

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import path from 'node:path'
import test, { after } from 'node:test'
import { waitFor } from '../../src/demo/wait.ts'
import { runChild } from '../../src/platform/child.ts'
import { realClock } from '../../src/platform/clock.ts'
import { Deadline, DeadlineError } from '../../src/platform/deadline.ts'
import { LinuxWatchdog, TestingWatchdog } from '../../src/platform/watchdog-device.ts'
import { PYTHON, StandIn } from '../support/watchdog-stand-in.ts'
import { makeWorkplace } from '../support/workplace.ts'

const work = await makeWorkplace({ after })
const standIn = await StandIn.mount(path.join(work.data, 'watchdog'))
work.defer(() => standIn.end())

const by = (ms = 5_000) => Deadline.in(realClock, ms)
const support = path.resolve(import.meta.dirname, '../support')
const holders: Readonly<Record<string, readonly string[]>> = {
  pgherd: [process.execPath, path.join(support, 'watchdog-holder.ts')],
  Patroni: [PYTHON, path.join(support, 'watchdog_holder.py')],
}

async function hold(name: string, seconds: number): Promise<ChildProcess> {
  standIn.forget()
  const [program = '', ...words] = holders[name] ?? []
  const child = spawn(program, [...words, standIn.device, String(seconds)], { stdio: 'inherit' })
  work.defer(() => child.kill('SIGKILL'))
  await waitFor('the holder to feed', { withinMs: 20_000 }, () => standIn.count('fed') > 1)
  return child
}

test('the timeout is set and read back, the device fed, and a close with the farewell disarms it', async () => {
  standIn.forget()
  const device = new LinuxWatchdog(standIn.device)
  assert.deepEqual(await device.open(by()), {
    identity: 'Stand-in watchdog',
    canSetTimeout: true,
    canBeDisarmed: true,
  })
  await device.setTimeoutSeconds(25, by())
  assert.equal(await device.timeoutSeconds(by()), 25)
  await device.keepalive(by())
  await assert.rejects(new LinuxWatchdog(standIn.device).open(by()), /open: EBUSY/)
  await device.disarm(by())
  await standIn.says('disarmed')
  assert.deepEqual(
    standIn.said.map(({ what }) => what),
    ['opened', 'timeout', 'fed', 'disarmed'],
  )
  await assert.rejects(device.keepalive(by()), /is not open/)
})

for (const name of Object.keys(holders)) {
  test(`${name}: a holder that ends in order disarms the device`, async () => {
    const child = await hold(name, 1)
    assert.equal(standIn.said.find(({ what }) => what === 'timeout')?.seconds, 1)
    child.kill('SIGTERM')
    await standIn.says('disarmed')
  })

  for (const signal of ['SIGKILL', 'SIGSTOP'] as const) {
    test(`${name}: a holder that gets ${signal} lets it fire in time`, async t => {
      const child = await hold(name, 1)
      child.kill(signal)
      const fired = await standIn.says('fired')
      const fedMs = standIn.said.findLast(({ what }) => what === 'fed')?.ms ?? 0
      t.diagnostic(`fired ${fired.ms - fedMs} ms after it was last fed`)
      assert.ok(fired.ms - fedMs >= 900, 'not before its timeout')
      assert.ok(fired.ms - fedMs < 5_000)
      child.kill('SIGKILL')
      await waitFor('the device to be free', { withinMs: 10_000 }, () => standIn.count('left-counting') > 0)
    })
  }
}

test('a device that cannot be disarmed says so, and one with a fixed timeout too', async t => {
  const other = await StandIn.mount(path.join(work.data, 'fixed'))
  t.after(() => other.end())
  await other.order('nowayout')
  await other.order('fixed 7')
  const device = new LinuxWatchdog(other.device)
  const { canSetTimeout, canBeDisarmed } = await device.open(by())
  assert.deepEqual({ canSetTimeout, canBeDisarmed }, { canSetTimeout: false, canBeDisarmed: false })
  assert.equal(await device.timeoutSeconds(by()), 7)
  await assert.rejects(device.setTimeoutSeconds(5, by()), /set the timeout: E(OPNOTSUPP|NOTSUP)/)
  await device.disarm(by())
  await other.says('left-counting')
})

test('a device that hangs is given up at the deadline, and let go when it answers after all', async t => {
  const other = await StandIn.mount(path.join(work.data, 'hanging'))
  t.after(() => other.end())
  await other.order('hang')
  const device = new LinuxWatchdog(other.device)
  let ticks = 0
  const ticking = setInterval(() => (ticks += 1), 20)
  await assert.rejects(device.open(by(300)), DeadlineError)
  clearInterval(ticking)
  assert.ok(ticks >= 3, `the event loop went on: ${ticks} ticks`)
  assert.equal(device.isStuck, true)
  await assert.rejects(device.open(by()), /an earlier call of the watchdog device hangs/)
  await other.order('answer')
  await other.says('disarmed')
  await waitFor('the call to return', { withinMs: 5_000 }, () => !device.isStuck)
})

test('the testing driver writes into a pipe what a device would be told', async t => {
  const pipe = path.join(work.data, 'pipe')
  await runChild('mkfifo', [pipe], { by: by() })
  const device = new TestingWatchdog(pipe)
  await assert.rejects(device.open(by()), /open: ENXIO/, 'nobody reads')
  const reader = await open(pipe, constants.O_RDONLY | constants.O_NONBLOCK)
  t.after(() => reader.close())
  await device.open(by())
  await device.setTimeoutSeconds(15, by())
  await device.keepalive(by())
  await device.disarm(by())
  const { buffer, bytesRead } = await reader.read(Buffer.alloc(100), 0, 100)
  assert.equal(buffer.subarray(0, bytesRead).toString(), 'Ctimeout=15\n1V')
})
