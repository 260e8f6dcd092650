// When the watchdog is armed, and what becomes of a lead that it cannot watch over.

import assert from 'node:assert/strict'
import test from 'node:test'
import { decide } from '../../../src/agent/decide.ts'
import type { WatchdogState } from '../../../src/agent/watchdog.ts'
import { config, holding, ledByUs, peer, running, settled, snapshot, view } from './scene.ts'
import { describe, follows, type Row } from './table.ts'

const idle: WatchdogState = { mode: 'automatic', isArmed: false, lack: undefined, isHealthy: true }
const armed = { ...idle, isArmed: true }
const failed = { ...idle, lack: 'it is not there' }
const required: WatchdogState = { ...idle, mode: 'required' }
const failedRequired = { ...required, lack: 'it is not there', isHealthy: false }
const standby = {
  view: ledByUs({ roles: { pg1: 'replica', pg2: 'replica' } }),
  lease: holding,
  server: running(),
}
const primary = { view: ledByUs(), lease: holding, server: running({ role: 'primary' }) }
const paused = config({ pause: true })

const rows: readonly Row[] = [
  {
    situation: 'a new leader whose watchdog is not armed arms it before it promotes',
    seen: { ...standby, watchdog: idle },
    rule: 'arm-watchdog',
    actions: ['arm-watchdog'],
  },
  {
    situation: 'a new leader whose watchdog is armed promotes',
    seen: { ...standby, watchdog: armed },
    rule: 'promote',
    actions: ['promote'],
  },
  {
    situation: 'a new leader without a watchdog promotes where it is not required',
    seen: { ...standby, watchdog: failed },
    rule: 'promote',
    actions: ['promote'],
  },
  {
    situation: 'a new leader without a watchdog gives the key away where it is required',
    seen: { ...standby, watchdog: failedRequired },
    rule: 'watchdog-required',
    actions: ['release-leader'],
    says: /not promoting self: the watchdog does not work and is required: it is not there/,
  },
  {
    situation: 'a primary that was found arms it',
    seen: { ...primary, watchdog: required },
    rule: 'arm-watchdog',
    actions: ['arm-watchdog'],
  },
  {
    situation: 'a primary goes on without one where it is not required',
    seen: { ...primary, watchdog: failed },
    rule: 'no-action-leader',
    actions: [],
  },
  {
    situation: 'a primary whose required watchdog fails gives the lead away',
    seen: { ...primary, watchdog: { ...failedRequired, isArmed: true } },
    rule: 'watchdog-required',
    actions: ['demote immediate release'],
  },
  {
    situation: 'nothing is armed where the mode is off',
    seen: { ...primary, watchdog: { ...idle, mode: 'off' } },
    rule: 'no-action-leader',
    actions: [],
  },
  {
    situation: 'a paused primary arms nothing',
    seen: { ...primary, config: paused, watchdog: required },
    rule: 'no-action-leader',
    actions: [],
  },
  {
    situation: 'a paused primary is not demoted for a watchdog that fails',
    seen: { ...primary, config: paused, watchdog: failedRequired },
    rule: 'no-action-leader',
    actions: [],
  },
  {
    situation: 'a member whose required watchdog does not work does not run for the lead',
    seen: { view: view({ leader: undefined }), watchdog: failedRequired },
    rule: 'race-stay-back',
    actions: [],
    says: /Watchdog device is not usable/,
  },
  {
    situation: 'a primary whose key vanished takes it again whatever its watchdog does',
    seen: {
      view: view({ leader: undefined }),
      server: running({ role: 'primary' }),
      watchdog: failedRequired,
      peers: [peer('pg1'), peer('pg3')],
    },
    rule: 'acquire-leader',
    actions: ['acquire-leader'],
  },
  {
    situation: 'pre_promote failed a moment ago: others may try',
    seen: { view: view({ leader: undefined }), nowMs: 1_029_000 },
    remembers: { prePromoteFailedAtMs: 1_000_000 },
    rule: 'race-stay-back',
    actions: [],
    says: /pre_promote has just failed here/,
  },
  {
    situation: 'pre_promote failed a lease ago: it runs again',
    seen: { view: view({ leader: undefined }), nowMs: 1_030_000 },
    remembers: { prePromoteFailedAtMs: 1_000_000 },
    rule: 'ask-peers',
    actions: ['ask-peers'],
  },
]

for (const row of rows) test(row.situation, () => follows(row))

test('what watches over a member changes nothing of what it decides otherwise', () => {
  const without = decide(snapshot({ ...primary }), settled)
  const with_ = decide(snapshot({ ...primary, watchdog: armed }), settled)
  assert.deepEqual(with_.actions.map(describe), without.actions.map(describe))
})
