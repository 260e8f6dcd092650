// Threads over node:net, which is not what runs unless told otherwise. Seen twice, on a machine whose processors were all busy: the
// server's first bytes of one session of forty did not come through within 20 s. Why is not known yet.

import test from 'node:test'
import { threadsFor } from './proxy-threads-rig.ts'
import { spreads } from './proxy-threads-spread.ts'

test('over node:net, too, sessions are spread over the threads, and bytes pass both ways', async t => {
  const { threads: onNet } = await threadsFor(t, 2, 'net')
  await spreads(t, onNet)
  await onNet.close()
})
