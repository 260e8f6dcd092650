// Our server runs and tells nothing: it is judged by its control file, for it may go on committing.

import test from 'node:test'
import type { ServerStatus } from '../../../src/postgres/port.ts'
import { config, running, view } from './scene.ts'
import { follows, type Row } from './table.ts'

const silent = (controlState: string, controlTimeline = 1): ServerStatus => ({
  ...running(),
  facts: undefined,
  isAnswering: false,
  controlState,
  controlTimeline,
})
const primary = silent('in production')
const ledByOurName = view({ leader: 'pg2' })
const paused = config({ pause: true })

const rows: readonly Row[] = [
  {
    situation:
      'an agent was restarted beside a leader that does not answer: the key is taken up, for the fence to watch',
    seen: { view: ledByOurName, server: primary },
    remembers: { isSettled: false },
    rule: 'reattach-leader',
    actions: ['reattach-leader'],
  },
  {
    situation:
      'an agent was restarted beside a silent primary of an older timeline: it stops, whatever the key says',
    seen: {
      view: view({ leader: 'pg2', history: '[[1,900,"x"]]' }),
      server: primary,
    },
    remembers: { isSettled: false },
    rule: 'demote-without-lock',
    actions: ['demote immediate keep'],
  },
  {
    situation: 'our name is in the key, which is not ours any more, and our primary does not answer: stop',
    seen: { view: ledByOurName, server: primary },
    rule: 'demote-without-lock',
    actions: ['demote immediate keep'],
  },
  {
    situation: 'our name is left in the key by a former life and a standby does not answer: wait for its end',
    seen: { view: ledByOurName, server: silent('in archive recovery') },
    remembers: { isSettled: false },
    rule: 'wait-for-expiry',
    actions: [],
  },
  {
    situation: 'paused: another member has the key and our primary does not answer: it is left alone',
    seen: { config: paused, server: primary },
    rule: 'paused-without-lock',
    actions: [],
  },
]

for (const row of rows) test(row.situation, () => follows(row))
