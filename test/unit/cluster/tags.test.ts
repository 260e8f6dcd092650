import assert from 'node:assert/strict'
import test from 'node:test'
import { writtenTags } from '../../../src/cluster/tags.ts'

test('false tags are left out, unless a priority stands beside them; other tags keep their types', () => {
  assert.deepEqual(
    writtenTags({ nofailover: false, noloadbalance: false, clonefrom: true, dc: 'a', rank: 3 }),
    {
      clonefrom: true,
      dc: 'a',
      rank: 3,
    },
  )
  assert.deepEqual(writtenTags({ nofailover: false, failover_priority: '1' }), {
    nofailover: false,
    failover_priority: '1',
  })
})
