// One takeover of a virtual IP: a fault, the next owner, and how long nobody answered.

import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import type { Holder, VipStage } from './vip-stage.ts'

/** Promised times without an answer, each asserted with a margin of five: a busy machine stalls. */
export const GRACEFUL_MS = 300
export const KILLED_MS = 1_000
export const FROZEN_MS = 2_000
export const HOST_LOST_MS = 3_000
const MARGIN = 5

/**
 * Lets a fault happen to the owner. Passes when another host serves in time, and when first the one and then only the other
 * answered for the address. Returns what brings the old owner back as a candidate.
 */
export async function takeover(
  t: TestContext,
  stage: VipStage,
  targetMs: number,
  fault: (owner: Holder) => Promise<unknown>,
): Promise<{ readonly owner: Holder; readonly heir: Holder; readonly beganMs: number }> {
  const owner = await stage.owner()
  const beganMs = Date.now()
  await fault(owner)
  const heir = await stage.heirOf(owner, beganMs)
  const gapMs = stage.gapMs(beganMs)
  t.diagnostic(`${t.name}: no answer for ${Math.round(gapMs)} ms (promised ${targetMs} ms)`)
  assert.ok(gapMs < targetMs * MARGIN, `${gapMs} ms without an answer`)
  return { owner, heir, beganMs }
}

/** At no instant did two hosts answer: nobody answered again so soon after another one that he can have taken over anew. */
export function assertNeverTwo(stage: VipStage, beganMs: number): void {
  assert.deepEqual(stage.together(beganMs), [])
}
