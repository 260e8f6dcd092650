// A minute of it. The same over node:net, and many more of them, in the long run.

import test from 'node:test'
import { torture } from './proxy-torture.ts'
import { transports } from './relay-rig.ts'

for (const transport of transports.filter(({ kind }) => kind === 'handle')) {
  test('sessions of all kinds get their own bytes and no others, and leave no memory behind', async t => {
    await torture(t, transport, { ms: 20_000 })
  })
}
