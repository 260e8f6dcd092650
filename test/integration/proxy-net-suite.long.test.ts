// What holds for a listener over the handles holds over node:net, the fall-back: the same tests once more.

import assert from 'node:assert/strict'
import test from 'node:test'

// Read when the rig is loaded.
process.env['PGHERD_TEST_RELAY'] = 'net'
await import('./proxy-listener.test.ts')
await import('./proxy-limits.test.ts')
await import('./proxy-servers.test.ts')
const { rig } = await import('./proxy-listener-rig.ts')

test('the tests of the listener, its limits and its servers run over node:net here', async t => {
  const { transport } = await rig(t)
  assert.equal(transport.kind, 'net')
})
