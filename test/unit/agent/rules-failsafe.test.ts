import test from 'node:test'
import { config, holding, running, view } from './scene.ts'
import { follows, type Row } from './table.ts'

const failsafe = config({ failsafe_mode: true })
const all = '{"pg1":"http://10.0.0.1:8008/patroni","pg2":"http://10.0.0.2:8008/patroni"}'
const free = view({ leader: undefined, failsafe: all })
const promised = { isLeading: false, promisedTo: 'pg1' }

const rows: readonly Row[] = [
  {
    situation: 'etcd is silent and every other member has accepted the leader: it goes on',
    seen: {
      config: failsafe,
      view: undefined,
      server: running({ role: 'primary' }),
      lease: holding,
      failsafe: { isLeading: true, promisedTo: undefined },
    },
    rule: 'failsafe',
    actions: [],
    says: /continue to run as a leader because failsafe mode is enabled and all members are accessible/,
  },
  {
    situation: 'the same when the lease has ended meanwhile: the others’ word is enough',
    seen: {
      config: failsafe,
      view: undefined,
      server: running({ role: 'primary' }),
      failsafe: { isLeading: true, promisedTo: undefined },
    },
    rule: 'failsafe',
    actions: [],
  },
  {
    situation: 'the key is gone, and we have accepted its former holder: no race',
    seen: { config: failsafe, view: free, failsafe: promised, peers: [] },
    rule: 'race-stay-back',
    actions: [],
    says: /pg1 leads in failsafe mode/,
  },
  {
    situation: 'the promise is over and the leader did not come back: race as usual',
    seen: { config: failsafe, view: free, peers: [] },
    rule: 'acquire-leader',
    actions: ['acquire-leader'],
  },
  {
    situation: 'a member that is not in the failsafe key may not lead',
    seen: {
      config: failsafe,
      view: view({ leader: undefined, failsafe: '{"pg1":"http://10.0.0.1:8008/patroni"}' }),
      peers: [],
    },
    rule: 'race-stay-back',
    actions: [],
    says: /I am not in the failsafe key/,
  },
  {
    situation: 'a member that has just started may have forgotten a promise: it waits for a ttl',
    seen: { config: failsafe, view: free, ageMs: 29_000, peers: [] },
    rule: 'race-stay-back',
    actions: [],
    says: /I have just started/,
  },
  {
    situation: 'the same where the ttl is short: it may have been a longer one when the promise was given',
    seen: {
      config: config({ failsafe_mode: true, ttl: 20, loop_wait: 5, retry_timeout: 5 }),
      view: free,
      ageMs: 29_000,
      peers: [],
    },
    rule: 'race-stay-back',
    actions: [],
    says: /I have just started/,
  },
  {
    situation: 'members of the failsafe key are asked in the race although nobody else knows them any more',
    seen: { config: failsafe, view: view({ leader: undefined, failsafe: all, members: ['pg2'] }) },
    rule: 'ask-peers',
    actions: ['ask-peers'],
  },
  {
    situation: 'failsafe mode is off: an old failsafe key binds nobody',
    seen: {
      view: view({ leader: undefined, failsafe: '{"pg1":"http://10.0.0.1:8008/patroni"}' }),
      peers: [],
      ageMs: 1_000,
    },
    rule: 'acquire-leader',
    actions: ['acquire-leader'],
  },
]

for (const row of rows) test(row.situation, () => follows(row))
