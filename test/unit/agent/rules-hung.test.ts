// Our server answers over the connection that we keep and no new one: its postmaster hangs.

import test from 'node:test'
import { config, holding, ledByUs, peer, running, view } from './scene.ts'
import { follows, type Row } from './table.ts'

const deaf = (unansweredMs: number, role: 'primary' | 'replica' = 'primary') => ({
  ...running({ role }),
  unansweredMs,
})
const led = { view: ledByUs(), lease: holding }

const rows: readonly Row[] = [
  {
    situation:
      'the leader’s server has answered no new connection for longer than hung_after: ask for an heir',
    seen: { ...led, server: deaf(61_000) },
    rule: 'ask-heirs',
    actions: ['ask-peers'],
    says: /answers no new connection/,
  },
  {
    situation: 'somebody can take over from a leader that answers no new connection: give way',
    seen: { ...led, server: deaf(61_000), peers: [peer('pg1')] },
    rule: 'give-way',
    actions: ['demote immediate release'],
  },
  {
    situation: 'nobody can take over from a leader that answers no new connection: its sessions go on',
    seen: { ...led, server: deaf(61_000), peers: [peer('pg1', { isReachable: false })] },
    rule: 'no-action-leader',
    actions: [],
  },
  {
    situation: 'a server that has been without an answer for less than that is only busy',
    seen: { ...led, server: deaf(59_000) },
    rule: 'no-action-leader',
    actions: [],
  },
  {
    situation: 'hung_after 0: nobody looks',
    seen: { ...led, config: config({ pgherd: { hung_after: 0 } }), server: deaf(500_000) },
    rule: 'no-action-leader',
    actions: [],
  },
  {
    situation: 'hung_after is the operator’s to choose',
    seen: { ...led, config: config({ pgherd: { hung_after: '5s' } }), server: deaf(6_000) },
    rule: 'ask-heirs',
    actions: ['ask-peers'],
  },
  {
    situation: 'paused: a leader that answers no new connection is left alone',
    seen: { ...led, config: config({ pause: true }), server: deaf(500_000) },
    rule: 'no-action-leader',
    actions: [],
  },
  {
    situation: 'a standby whose server answers no new connection does not race: it could not be promoted',
    seen: { view: view({ leader: undefined }), server: deaf(61_000, 'replica') },
    rule: 'race-stay-back',
    actions: [],
    says: /my server hangs/,
  },
]

for (const row of rows) test(row.situation, () => follows(row))
