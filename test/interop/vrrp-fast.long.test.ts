// Version 3 with ten adverts a second, between our proxy and Debian's keepalived, and what a partition does.

import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { type Pair, VrrpStage } from '../support/vrrp-stage.ts'

/** Asserted with a margin of five: a busy machine stalls. */
const HOST_LOST_MS = 500

const stage = await VrrpStage.open({ after })
const fast = { version: 3, advertInt: 0.1 } as const
const ours = await stage.pair('pgherd', 'pgherd', fast)
const mixed = await stage.pair('pgherd', 'keepalived', { ...fast, isUnicast: true })
const pairs: readonly Pair[] = [ours, mixed]

test('ten adverts a second, by multicast and by unicast: the higher priority holds the address', async () => {
  for (const pair of pairs) {
    await pair.start()
    await pair.heldBy(pair.first)
  }
})

test('a host that is lost is replaced within half a second', async t => {
  const times = await Promise.all(
    pairs.map(pair => pair.takenBy(pair.second, () => stage.network.unplug(pair.first.host))),
  )
  t.diagnostic(`host lost: ${times.map(ms => `${Math.round(ms)} ms`).join(', ')}`)
  for (const ms of times) assert.ok(ms < HOST_LOST_MS * 5, `${ms} ms`)
  for (const { first } of pairs) await stage.network.plug(first.host)
  for (const pair of pairs) await pair.heldBy(pair.first)
})

test('after a partition both hold the address for an advert at most', async t => {
  for (const pair of pairs) {
    await stage.network.cut(pair.first.host, pair.second.host)
    await pair.heldBy(pair.first, pair.second)
  }
  await stage.network.heal()
  for (const pair of pairs) {
    t.diagnostic(
      `${pair.name}: both held it for ${Math.round(await pair.heldBy(pair.first))} ms after the network healed`,
    )
  }
})
