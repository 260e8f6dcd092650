import assert from 'node:assert/strict'
import test from 'node:test'
import { REMEMBERED_MS, Roster } from '../../../src/proxy/roster.ts'
import { memberOf } from './facts.ts'

const names = (roster: Roster) => [...roster.members.keys()].join(' ')

test('a member that vanishes is remembered for a while, and is whole again when it returns', () => {
  const roster = new Roster()
  roster.replace([memberOf('pg1'), memberOf('pg2')], 0)
  roster.replace([memberOf('pg2')], 1000)
  assert.equal(names(roster), 'pg1 pg2')
  assert.equal(roster.members.get('pg1')?.absentSinceMs, 1000)
  roster.replace([memberOf('pg1'), memberOf('pg2')], 2000)
  assert.equal(roster.members.get('pg1')?.absentSinceMs, undefined)
  roster.remove('pg1', 3000)
  roster.replace([memberOf('pg2')], 3000 + REMEMBERED_MS)
  assert.equal(names(roster), 'pg2')
})

test('a key without a usable address does not lose the address that was known', () => {
  const roster = new Roster()
  roster.put(memberOf('pg1'))
  roster.put(memberOf('pg1', { conn_url: 'nonsense' }))
  assert.deepEqual(roster.members.get('pg1')?.address, { host: '10.0.0.1', port: 5432 })
})

test('a member that moved has its new address', () => {
  const roster = new Roster()
  roster.put(memberOf('pg1'))
  roster.put(memberOf('pg1', { conn_url: 'postgres://[fd00::1]:5433/postgres' }))
  assert.deepEqual(roster.members.get('pg1')?.address, { host: 'fd00::1', port: 5433 })
})
