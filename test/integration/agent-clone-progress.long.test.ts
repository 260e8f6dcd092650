// A copy that takes its time, on real members: everybody can see how far it is.

import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { waitFor } from '../../src/demo/wait.ts'
import { keyText } from '../support/dynamic-config.ts'
import { startCluster } from '../support/fixture.ts'

interface Clone {
  readonly done_bytes: number
  readonly total_bytes: number
  readonly percent: number
}

const { cluster } = await startCluster(
  { after },
  {
    etcd: 1,
    members: 2,
    proxies: 0,
    overrides: { postgresql: { basebackup: { checkpoint: 'fast', 'max-rate': '4M' } } },
  },
)

test('how far a copy is stands in the member key and in /patroni while it is made, and no longer', async t => {
  const [replica] = await cluster.replicas()
  assert.ok(replica)
  const inKey = async (): Promise<Clone | undefined> => {
    const text = await keyText(cluster, `members/${replica.name}`)
    return text === '' ? undefined : JSON.parse(text).pgherd?.clone
  }
  const { code } = await replica.rest('/reinitialize', { method: 'POST', body: '{}' })
  assert.equal(code, 200)
  const seen: number[] = []
  await waitFor('half of it', { withinMs: 60_000, everyMs: 200 }, async note => {
    const [clone, own] = [await inKey(), (await replica.status())['pgherd'] as { readonly clone?: Clone }]
    note(JSON.stringify([clone, own.clone]))
    if (clone === undefined || own.clone === undefined) return false
    assert.ok(clone.done_bytes <= clone.total_bytes)
    seen.push(clone.percent)
    return clone.percent > 50
  })
  t.diagnostic(`seen: ${[...new Set(seen)].join(', ')} %`)
  assert.deepEqual(
    seen,
    seen.toSorted((a, b) => a - b),
    'it only grows',
  )
  await cluster.complete()
  await waitFor('the word to be gone', { withinMs: 20_000 }, async () => (await inKey()) === undefined)
})
