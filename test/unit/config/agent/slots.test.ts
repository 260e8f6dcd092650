import assert from 'node:assert/strict'
import test from 'node:test'
import type { Json } from '../../../../src/cluster/json.ts'
import { dynamicConfig } from '../../../../src/config/agent/dynamic.ts'

const physical = { kind: 'physical', clusterType: undefined }
const logical = { kind: 'logical', database: 'app', plugin: 'pgoutput', clusterType: undefined }
const unclear = { kind: 'unclear' }

/** What stands for a slot, what it means, whether it warns. */
const rows: readonly (readonly [Json, object, boolean])[] = [
  [{ type: 'physical' }, physical, false],
  [0, physical, false],
  [null, physical, false],
  [{}, physical, false],
  [{ cluster_type: 'primary' }, { ...physical, clusterType: 'primary' }, false],
  [{ type: 'logical', database: 'app', plugin: 'pgoutput' }, logical, false],
  [{ database: 'app', plugin: 'pgoutput' }, logical, false],
  [{ type: 'logical', database: 'app' }, unclear, true],
  [{ type: 'both' }, unclear, true],
  ['physical', unclear, true],
]
for (const [value, want, isWarned] of rows) {
  test(`a slot given as ${JSON.stringify(value)} is ${JSON.stringify(want)}`, () => {
    const { permanentSlots, warnings } = dynamicConfig({ slots: { one: value } }, true)
    assert.deepEqual([...permanentSlots], [['one', want]])
    assert.deepEqual(warnings.length > 0, isWarned, warnings.join('\n'))
  })
}

test('the old names of `slots` count where the new one is absent', () => {
  const read = (raw: Parameters<typeof dynamicConfig>[0]) => [
    ...dynamicConfig(raw, true).permanentSlots.keys(),
  ]
  assert.deepEqual(read({ permanent_slots: { a: 0 } }), ['a'])
  assert.deepEqual(read({ permanent_replication_slots: { b: 0 } }), ['b'])
  assert.deepEqual(read({ slots: { c: 0 }, permanent_slots: { a: 0 } }), ['c'])
})

test('a name that is none, a list in place of a mapping and a matcher of everything are told and left out', () => {
  const config = dynamicConfig({ slots: { 'A-b': 0 }, ignore_slots: [{}, { name: 'x' }] }, true)
  assert.deepEqual([...config.permanentSlots], [])
  assert.deepEqual(config.ignoredSlots, [{ name: 'x' }])
  assert.deepEqual(config.warnings, [
    'slots: "A-b" is no slot\'s name (a-z, 0-9, _): left out',
    'ignore_slots: an entry is no mapping with name, type, database or plugin: left out',
  ])
  assert.deepEqual(dynamicConfig({ slots: ['a'], ignore_slots: 'a' }, true).warnings, [
    'slots: expected a mapping of slot names: no slot is kept',
    'ignore_slots: expected a list: no slot is left alone for it',
  ])
})
