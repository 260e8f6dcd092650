// From whom an empty member copies, and when it may do without anybody.

import assert from 'node:assert/strict'
import test from 'node:test'
import { decide } from '../../../src/agent/decide.ts'
import type { Memory, Snapshot } from '../../../src/agent/snapshot.ts'
import { parseView } from '../../../src/cluster/view.ts'
import { down, settled, snapshot } from './scene.ts'
import { describe, follows, type Row } from './table.ts'

const empty = down({ dataDirectory: 'empty' })
const position = { clusterId: 'c1', revision: 500n, raftTerm: 2n }

/** A leader pg1 and replicas whose keys are given. */
function cluster(replicas: Readonly<Record<string, object>>) {
  const members = {
    pg1: { role: 'primary' },
    ...replicas,
  }
  const keys = Object.entries(members).map(([name, fields]) => {
    const url = `postgres://10.0.0.${name.slice(2)}:5432/postgres`
    const value = { conn_url: url, state: 'running', timeline: 3, ...fields }
    return kv(`members/${name}`, JSON.stringify(value))
  })
  return parseView(position, [...keys, kv('leader', 'pg1'), kv('initialize', '7300000000000000001')])
}
const kv = (key: string, value: string) => ({
  key,
  value,
  createRevision: 10n,
  modRevision: 10n,
  leaseId: 5n,
})
const offers = { role: 'replica', tags: { clonefrom: true }, replication_state: 'streaming' }

function source(seen: Partial<Snapshot>, remembers: Partial<Memory> = {}): string {
  const decision = decide(snapshot({ server: empty, systemId: undefined, ...seen }), {
    ...settled,
    ...remembers,
  })
  return decision.actions.map(describe).join()
}

test('a replica that offers itself and streams spares the leader the work', () => {
  assert.equal(source({ view: cluster({ pg3: offers }) }), 'clone pg3')
  assert.equal(source({ view: cluster({ pg3: { role: 'replica' } }) }), 'clone pg1')
})

for (const [why, fields] of [
  ['does not stream', { ...offers, replication_state: 'in archive recovery' }],
  ['is on another timeline', { ...offers, timeline: 2 }],
  ['does not run', { ...offers, state: 'starting' }],
] as const) {
  test(`one that ${why} is not copied`, () =>
    assert.equal(source({ view: cluster({ pg3: fields }) }), 'clone pg1'))
}

test('after a failure the leader is next; members with other names choose others', () => {
  const view = cluster({ pg3: offers, pg4: offers })
  assert.equal(source({ view }, { failedStarts: 1 }), 'clone pg1')
  const chosenBy = (name: string) => source({ view, self: { ...snapshot({}).self, name } })
  assert.notEqual(chosenBy('pg5'), chosenBy('pg6'))
})

const alone = { ...snapshot({}).self, canCloneAlone: true }
const without = (initialize: string | undefined) =>
  parseView(position, initialize === undefined ? [] : [kv('initialize', initialize)])
const rows: readonly Row[] = [
  {
    situation: 'nobody leads and a method needs no leader: it is tried',
    seen: { server: empty, self: alone, view: without('7300000000000000001'), systemId: undefined },
    rule: 'clone-alone',
    actions: ['clone nobody'],
  },
  {
    situation: 'the cluster is being born: there is nothing to copy from an archive yet',
    seen: { server: empty, self: alone, view: without(''), systemId: undefined },
    rule: 'wait-for-bootstrap',
    actions: [],
  },
  {
    situation: 'nobody leads and every method needs a leader: it waits',
    seen: { server: empty, view: without('7300000000000000001'), systemId: undefined },
    rule: 'wait-for-bootstrap',
    actions: [],
  },
]
for (const row of rows) test(row.situation, () => follows(row))
