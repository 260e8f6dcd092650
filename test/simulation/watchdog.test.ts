// The modelled watchdog of a machine: when it fires, whatever becomes of the processes and of its timeout.

import assert from 'node:assert/strict'
import test from 'node:test'
import { Deadline } from '../../src/platform/deadline.ts'
import { Machine, Process } from './core/machine.ts'
import { Random } from './core/random.ts'
import { Scheduler } from './core/scheduler.ts'
import { SimWatchdog } from './watchdog.ts'

/** The clock of a machine is wrong by a thousandth at most, and a call takes a millisecond. */
const ABOUT_MS = 100

function scene() {
  const scheduler = new Scheduler(new Random(1))
  const machine = new Machine('pg1', scheduler, new Random(2))
  const firedAtMs: number[] = []
  const watchdog = new SimWatchdog(machine, () => void firedAtMs.push(scheduler.nowMs))
  let violation: unknown
  const pass = (ms: number) =>
    scheduler.run(scheduler.nowMs + ms, () => {
      if (violation !== undefined) throw violation
    })
  /** Opened and set as the agent does it. */
  const armed = async (timeoutSeconds: number) => {
    const process = new Process('pg1', machine)
    const device = watchdog.device(process)
    const by = Deadline.in(process, 3_000)
    device
      .open(by)
      .then(() => device.setTimeoutSeconds(timeoutSeconds, by))
      .catch((error: unknown) => {
        violation = error
      })
    await pass(10)
    return { process, device, by }
  }
  return { scheduler, machine, watchdog, firedAtMs, pass, armed }
}

function assertFired(firedAtMs: readonly number[], aboutMs: readonly number[]): void {
  const isRight = aboutMs.every((ms, index) => Math.abs((firedAtMs[index] ?? 0) - ms) < ABOUT_MS)
  assert.ok(isRight && firedAtMs.length === aboutMs.length, `fired at [${firedAtMs}], expected [${aboutMs}]`)
}

test('it fires after the timeout that was set last, not after the one in force when it was opened', async () => {
  const { pass, armed, firedAtMs } = scene()
  const { process } = await armed(8)
  process.kill()
  await pass(60_000)
  assertFired(firedAtMs, [8_000])
})

test('fed, it fires a timeout after the last feed, also at a machine whose processes stand still', async () => {
  const { pass, armed, firedAtMs } = scene()
  const { process, device, by } = await armed(8)
  await pass(5_000)
  void device.keepalive(by)
  await pass(10)
  process.freeze()
  await pass(60_000)
  assertFired(firedAtMs, [13_000])
})

test('what a killed process had under way never reaches it', async () => {
  const { pass, armed, firedAtMs } = scene()
  const { process, device, by } = await armed(8)
  await pass(5_000)
  void device.keepalive(by)
  process.kill()
  await pass(60_000)
  assertFired(firedAtMs, [8_000])
})

test('after a reset it counts anew for the next who opens it', async () => {
  const { scheduler, watchdog, pass, armed, firedAtMs } = scene()
  await armed(60)
  watchdog.reset()
  const beganAtMs = scheduler.nowMs
  const { process } = await armed(8)
  process.kill()
  await pass(120_000)
  assertFired(firedAtMs, [beganAtMs + 8_000])
})

test('it sleeps with its machine', async () => {
  const { machine, pass, armed, firedAtMs } = scene()
  const { process } = await armed(8)
  await pass(3_000)
  process.freeze()
  machine.suspend()
  await pass(20_000)
  assertFired(firedAtMs, [])
  machine.resume()
  await pass(60_000)
  assertFired(firedAtMs, [28_000])
})

test('disarmed, it never fires', async () => {
  const { pass, armed, firedAtMs } = scene()
  const { device, by } = await armed(8)
  void device.disarm(by)
  await pass(60_000)
  assertFired(firedAtMs, [])
})
