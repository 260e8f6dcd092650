import assert from 'node:assert/strict'
import test from 'node:test'
import { type LeaseLook, latestEndMs } from '../../faults/lease-end.ts'

const TTL_MS = 5_000

/** What a store says every `everyMs` of a lease renewed at these instants, until `untilMs`; each answer takes `tookMs`. */
function looksAt(renewedMs: readonly number[], untilMs: number, everyMs: number, tookMs = 2): LeaseLook[] {
  const looks: LeaseLook[] = []
  for (let askedMs = renewedMs[0] ?? 0; askedMs < untilMs; askedMs += everyMs) {
    const seenMs = askedMs + tookMs / 2
    const last = renewedMs.findLast(atMs => atMs <= seenMs) ?? 0
    const leftSeconds = Math.trunc((last + TTL_MS - seenMs) / 1_000)
    if (leftSeconds >= 0) looks.push({ askedMs, answeredMs: askedMs + tookMs, leftSeconds })
  }
  return looks
}

test('the end of a lease is known to a look or two, and never told too early', () => {
  for (const shiftMs of [0, 7, 130, 499, 830]) {
    const renewed = [100, 930, 1_760, 2_590 + shiftMs]
    const trueEndMs = 2_590 + shiftMs + TTL_MS
    const found = latestEndMs(looksAt(renewed, trueEndMs + 700, 50)) ?? Number.NaN
    assert.ok(found >= trueEndMs && found <= trueEndMs + 60, `${found} for ${trueEndMs}`)
  }
})

test('looks that were rare leave an end that is late, not early', () => {
  const found = latestEndMs(looksAt([100, 930], 5_930, 700)) ?? Number.NaN
  assert.ok(found >= 5_930 && found <= 6_930, String(found))
})

test('without a look nothing is known of the end', () => {
  assert.equal(latestEndMs([]), undefined)
})
