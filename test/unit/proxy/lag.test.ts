import assert from 'node:assert/strict'
import test from 'node:test'
import { isNearEnough, lagOf, notePosition } from '../../../src/proxy/lag.ts'

const positions = [100n, 200n, 200n, 350n].reduce(
  (known, location, index) => notePosition(known, location, index * 1000),
  [] as Parameters<typeof notePosition>[0],
)

test('lag in time counts from the instant at which the leader was first known to be further', () => {
  assert.deepEqual(lagOf(positions, 350n, 9000), { bytes: 0n, ms: 0 })
  assert.deepEqual(lagOf(positions, 200n, 3500), { bytes: 150n, ms: 500 })
  assert.deepEqual(lagOf(positions, 50n, 3500), { bytes: 300n, ms: 3500 })
  assert.equal(lagOf([], 1n, 0), undefined)
})

test('an idle leader makes no lag, however long nothing is written', () => {
  assert.equal(lagOf(positions, 350n, 3_600_000)?.ms, 0)
})

test('a position that goes back is another leader: the memory starts anew', () => {
  assert.deepEqual(notePosition(positions, 10n, 5000), [{ location: 10n, atMs: 5000 }])
})

test('the memory of positions is bounded', () => {
  let known = positions
  for (let step = 1n; step < 2000n; step += 1n) known = notePosition(known, 350n + step, 4000 + Number(step))
  assert.ok(known.length <= 600)
})

test('hysteresis: out above the limit, back below half of it', () => {
  const limits = { lagBytesMax: 1000, lagMsMax: undefined }
  const near = (bytes: bigint, wasIn: boolean) => isNearEnough({ bytes, ms: 0 }, limits, wasIn)
  assert.deepEqual(
    [near(1000n, true), near(1001n, true), near(900n, false), near(500n, false)],
    [true, false, false, true],
  )
})

test('both limits count, and an unknown lag is too much where there is one', () => {
  const limits = { lagBytesMax: 1000, lagMsMax: 2000 }
  assert.equal(isNearEnough({ bytes: 1n, ms: 2001 }, limits, true), false)
  assert.equal(isNearEnough(undefined, limits, true), false)
  assert.equal(isNearEnough(undefined, { lagBytesMax: undefined, lagMsMax: undefined }, true), true)
})
