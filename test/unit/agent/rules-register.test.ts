// Who may name the cluster again when its identity is missing in etcd.

import assert from 'node:assert/strict'
import test from 'node:test'
import { decide } from '../../../src/agent/decide.ts'
import { firstMemory } from '../../../src/agent/snapshot.ts'
import { config, down, holding, ledByUs, running, settled, snapshot, view } from './scene.ts'

const wiped = view({ leader: undefined, initialize: undefined })

// who, how long nobody has led, what it has seen before, the rule
const rows = [
  ['a primary', running({ role: 'primary' }), 0, firstMemory, 'register-system-id'],
  ['a standby that knows the cluster, at once', running(), 0, settled, 'wait-for-primary'],
  ['the same, shortly before a ttl is over', running(), 29_999, settled, 'wait-for-primary'],
  ['the same, after a ttl without a primary', running(), 30_000, settled, 'register-system-id'],
  ['a standby that has just started, after any time', running(), 300_000, firstMemory, 'wait-for-primary'],
] as const
for (const [who, server, leaderlessMs, memory, rule] of rows) {
  test(`etcd was wiped; ${who}: ${rule}`, () => {
    assert.equal(decide(snapshot({ view: wiped, server, leaderlessMs }), memory).rule, rule)
  })
}

// what follows another cluster has no primary that could do it, and a leader that is to promote would wait for itself
for (const [who, raw] of [
  ['the leader of a standby cluster', { standby_cluster: { host: '10.9.0.1' } }],
  ['a leader that is about to be promoted', {}],
] as const) {
  test(`somebody deleted \`initialize\`: ${who} writes it again`, () => {
    const seen = { view: ledByUs({ initialize: undefined }), lease: holding, config: config(raw) }
    assert.equal(decide(snapshot(seen), settled).rule, 'register-system-id')
  })
}

const empty = { server: down({ dataDirectory: 'empty' }), systemId: undefined }
const waiting = { pg1: 'uninitialized', pg3: 'uninitialized' }

// what the keys tell of others, how long nobody has led, what we remember, the rule
const beside = [
  ['another member has data', {}, 0, firstMemory, 'wait-for-initialize'],
  [
    'another member had a server that is down now',
    { states: { pg1: 'stopped' } },
    600_000,
    firstMemory,
    'wait-for-initialize',
  ],
  ['the others are as empty', { roles: waiting }, 0, firstMemory, 'bootstrap'],
  [
    'the store was wiped a moment ago',
    { members: [] },
    29_999,
    { ...settled, lastLeader: 'pg1' },
    'wait-for-initialize',
  ],
  [
    'nobody has written a key for a ttl',
    { members: [] },
    30_000,
    { ...settled, lastLeader: 'pg1' },
    'bootstrap',
  ],
  ['we led alone, and our data is gone', { members: [] }, 0, { ...settled, lastLeader: 'pg2' }, 'bootstrap'],
] as const
for (const [who, keys, leaderlessMs, memory, rule] of beside) {
  test(`an empty directory and no \`initialize\`; ${who}: ${rule}`, () => {
    const seen = { ...empty, view: view({ leader: undefined, initialize: undefined, ...keys }), leaderlessMs }
    assert.equal(decide(snapshot(seen), memory).rule, rule)
  })
}

// whose `initialize`, whether we hold the key, the rule
const unfinished = [
  ['empty', '', true, 'register-system-id'],
  ['no number', 'x', true, 'register-system-id'],
  ['valid', '7300000000000000001', true, 'no-action-leader'],
  ['empty, and we do not lead', '', false, 'acquire-leader'],
] as const
for (const [what, initialize, isHeld, rule] of unfinished) {
  test(`a primary finds an \`initialize\` that is ${what}: ${rule}`, () => {
    const seen = isHeld
      ? { view: ledByUs({ initialize }), lease: holding }
      : { view: view({ leader: undefined, initialize, members: ['pg2'] }), leaderlessMs: 60_000 }
    assert.equal(decide(snapshot({ ...seen, server: running({ role: 'primary' }) }), settled).rule, rule)
  })
}
