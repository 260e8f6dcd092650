import test from 'node:test'
import { torture } from './proxy-torture.ts'
import { transports } from './relay-rig.ts'

for (const transport of transports) {
  const sessions = transport.kind === 'handle' ? 33_400 : 5_000
  test(`${3 * sessions} sessions get their own bytes and no others, and leave no memory behind: ${transport.kind}`, async t => {
    await torture(t, transport, { sessions })
  })
}
