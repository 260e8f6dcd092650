// A gate in shared memory, seen from the thread that writes it and from one that asks it.

import assert from 'node:assert/strict'
import test from 'node:test'
import { Gate } from '../../../../src/proxy/backend.ts'
import { SharedGate } from '../../../../src/proxy/threads/gate-sheet.ts'
import { FakeClock } from '../../../support/fake-clock.ts'

function made() {
  const clock = new FakeClock()
  const gate = new Gate(clock)
  const settled: boolean[] = []
  const watched: number[] = []
  const memory = gate.share(() => void settled.push(gate.isOpen()))
  const shared = new SharedGate({ clock, watch: { check: nowMs => void watched.push(nowMs ?? -1) }, memory })
  return { clock, gate, settled, watched, memory, shared }
}

test('a deadline that is moved counts for the other side at once, and it holds without anybody telling', async () => {
  const { clock, gate, shared, watched } = made()
  assert.equal(shared.isOpen(), true)
  assert.deepEqual(watched, [], 'without a deadline a sleep of the host changes nothing')
  gate.untilMs = clock.monotonicMs() + 1000
  assert.equal(shared.isOpen(), true)
  await clock.advance(999)
  assert.equal(shared.isOpen(), true)
  await clock.advance(1)
  assert.equal(shared.isOpen(), false)
  assert.equal(shared.closedBecause, undefined)
  gate.untilMs = clock.monotonicMs() + 1000
  assert.equal(shared.isOpen(), true)
  assert.equal(watched.length, 4)
})

test('a gate that is closed stays closed, and says why', () => {
  const { gate, shared, settled } = made()
  gate.close('newer-epoch', 'pg2 führt')
  assert.equal(shared.isOpen(), false)
  assert.deepEqual(shared.closedBecause, { reason: 'newer-epoch', says: 'pg2 führt' })
  assert.deepEqual(settled, [false], 'it was closed before readers were waited for')
  gate.close('proxy-stops', 'later')
  gate.untilMs = Number.POSITIVE_INFINITY
  assert.equal(shared.isOpen(), false)
  assert.deepEqual(shared.closedBecause?.says, 'pg2 führt')
  assert.equal(settled.length, 1)
})

test('a sentence that is too long is cut at a whole character', () => {
  const { gate, shared } = made()
  gate.close('left-pool', 'ü'.repeat(300))
  assert.equal(shared.closedBecause?.says, 'ü'.repeat(120))
})

test('a gate that was closed before it was shared is closed for everybody', () => {
  const clock = new FakeClock()
  const gate = new Gate(clock)
  gate.close('shed', 'back')
  const shared = new SharedGate({ clock, watch: { check: () => {} }, memory: gate.share(() => {}) })
  assert.deepEqual([shared.isOpen(), shared.closedBecause?.reason], [false, 'shed'])
})

test('the same memory is shared however often it is asked for', () => {
  const { gate, memory } = made()
  assert.equal(
    gate.share(() => {}),
    memory,
  )
})

test('a sleep of the host closes gates that have a deadline, for good, and no others', () => {
  const { clock, gate, shared } = made()
  shared.closeAfterSleep()
  assert.equal(shared.isOpen(), true)
  gate.untilMs = clock.monotonicMs() + 60_000
  shared.closeAfterSleep()
  assert.equal(shared.isOpen(), false)
  gate.untilMs = clock.monotonicMs() + 120_000
  assert.equal(shared.isOpen(), false)
  assert.equal(shared.closedBecause?.reason, 'evidence-expired')
})
