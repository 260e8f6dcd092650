// Whatever stands in etcd, reading it never throws, and what we print we read again.

import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { parseHistoryFile } from '../../../src/cluster/history.ts'
import { parseJson, printJson } from '../../../src/cluster/json.ts'
import { formatLsn, parseLsn } from '../../../src/cluster/lsn.ts'
import { readOperatorTime } from '../../../src/cluster/operator-time.ts'
import { parseRequest, printRequest } from '../../../src/cluster/request.ts'
import { slotNameOf } from '../../../src/cluster/slot-name.ts'
import { parseStatus, printStatus } from '../../../src/cluster/status.ts'
import { summarize } from '../../../src/cluster/summary.ts'
import { parseSync, printSync } from '../../../src/cluster/sync.ts'
import { parseView } from '../../../src/cluster/view.ts'

const names = [
  'initialize',
  'config',
  'leader',
  'status',
  'sync',
  'failover',
  'history',
  'failsafe',
  'optime/leader',
]
const key = fc.oneof(fc.constantFrom(...names), fc.constantFrom('members/pg1', 'pgherd/x'), fc.string())
const value = fc.oneof(
  fc.string(),
  fc.json(),
  fc.string().map(text => `postgres://${text}`),
  fc.json({ maxDepth: 1 }).map(text => `{"leader":${text},"tags":${text},"optime":${text},"slots":${text}}`),
)
const revision = fc.bigInt({ min: 0n, max: 2n ** 63n - 1n })
const keyValues = fc.array(
  fc.record({ key, value, createRevision: revision, modRevision: revision, leaseId: revision }),
)

test('a view of any keys and values is read and summed up without an error', () => {
  fc.assert(
    fc.property(keyValues, kvs => {
      summarize(parseView({ clusterId: '1', revision: 1n, raftTerm: 1n }, kvs))
    }),
  )
})

test('no text makes a reader throw', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), text => {
      for (const read of [parseHistoryFile, parseLsn, slotNameOf, parseRequest, parseSync]) read(text)
      readOperatorTime(text, 0)
    }),
  )
})

const name = fc.string({ minLength: 1 }).map(text => text.replace(/[,\s]/g, '_'))
const lsn = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })

test('what is printed is read again', () => {
  fc.assert(
    fc.property(lsn, fc.uniqueArray(name, { maxLength: 5 }), fc.nat(), (position, list, quorum) => {
      assert.equal(parseLsn(formatLsn(position)), position)
      const slots = Object.fromEntries(
        list.filter(slot => slot !== '__proto__').map(slot => [slot, position]),
      )
      const status = { optime: position, slots, retainSlots: [...list].sort() }
      assert.deepEqual(parseStatus(printStatus(status)), status)
      const sync = { leader: 'n1', quorum, standbys: [...list].sort() }
      assert.deepEqual(parseSync(printSync(sync)), sync)
      const request = { leader: list[0], candidate: list[1] ?? 'x', scheduledAt: undefined }
      assert.deepEqual(parseRequest(printRequest(request)), request)
    }),
  )
})

test('any JSON keeps its meaning', () => {
  fc.assert(
    fc.property(fc.json(), text => {
      const parsed = parseJson(text)
      assert.ok(parsed !== undefined)
      assert.deepEqual(parseJson(printJson(parsed)), parsed)
    }),
  )
})
