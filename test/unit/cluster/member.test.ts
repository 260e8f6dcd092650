import assert from 'node:assert/strict'
import test from 'node:test'
import {
  hostPortOf,
  isTagged,
  type Member,
  mayLead,
  memberStates,
  parseMember,
  type Tags,
} from '../../../src/cluster/member.ts'

const full = JSON.stringify({
  conn_url: 'postgres://10.0.0.1:5432/postgres',
  api_url: 'http://10.0.0.1:8008/patroni',
  state: 'running',
  role: 'replica',
  version: '4.1.4',
  xlog_location: 67108864,
  receive_lsn: 67108864,
  replay_lsn: 67108000,
  replication_state: 'streaming',
  timeline: 3,
  tags: { nofailover: true, zone: 'a', weight: 2 },
  checkpoint_after_promote: false,
  pending_restart: true,
  pause: true,
  pgherd: { failover_ms: 5 },
})

test('every field of a member is read', () => {
  const { raw, ...member } = parseMember('pg1', full, 7587899103242114567n)
  assert.deepEqual(member, {
    name: 'pg1',
    leaseId: 7587899103242114567n,
    connUrl: 'postgres://10.0.0.1:5432/postgres',
    apiUrl: 'http://10.0.0.1:8008/patroni',
    state: 'running',
    role: 'replica',
    version: '4.1.4',
    timeline: 3,
    walPosition: 67108864n,
    receiveLsn: 67108864n,
    replayLsn: 67108000n,
    replicationState: 'streaming',
    tags: { nofailover: true, zone: 'a', weight: 2 },
    checkpointAfterPromote: false,
    pendingRestart: true,
    pause: true,
    pgherd: { failover_ms: 5 },
  })
  assert.equal(raw['state'], 'running')
})

const fields: readonly (readonly [string, string, Partial<Member>])[] = [
  ['{"role":"master"}', 'the old word for primary', { role: 'primary' }],
  ['{"xlog_location":"67108864"}', 'a position in text', { walPosition: 67108864n }],
  ['{"xlog_location":18446744073709551615}', 'a huge position', { walPosition: 18446744073709551615n }],
  [
    '{"timeline":"x","tags":[],"pause":1}',
    'malformed fields',
    { timeline: undefined, tags: {}, pause: false },
  ],
  ['{"conn_url":5}', 'a URL that is none', { connUrl: undefined }],
  ['', 'nothing', { state: 'unknown', role: 'uninitialized', connUrl: undefined }],
  ['not json', 'no JSON', { state: 'unknown', apiUrl: undefined }],
  ['[1]', 'no object', { state: 'unknown' }],
  [
    'postgres://u:p@10.0.0.1:5432/postgres?application_name=http://10.0.0.1:8008/patroni',
    'the bare URL of old agents',
    { connUrl: 'postgres://u:p@10.0.0.1:5432/postgres', apiUrl: 'http://10.0.0.1:8008/patroni' },
  ],
  [
    'postgres://10.0.0.1:5432/postgres',
    'a bare URL without the second one',
    { connUrl: 'postgres://10.0.0.1:5432/postgres', apiUrl: undefined },
  ],
]
for (const [value, what, want] of fields) {
  test(`a member key with ${what} is read without an error`, () => {
    const member = parseMember('pg1', value, 0n)
    const seen = Object.fromEntries(Object.keys(want).map(key => [key, member[key as keyof Member]]))
    assert.deepEqual(seen, want)
  })
}

const urls: readonly (readonly [string | undefined, string | undefined, number | undefined])[] = [
  ['postgres://10.0.0.1:5433/postgres', '10.0.0.1', 5433],
  ['postgres://pg1.example.org/postgres', 'pg1.example.org', 5432],
  ['postgres://[2001:db8::1]:5432/postgres', '2001:db8::1', 5432],
  ['http://10.0.0.1:8008/patroni', '10.0.0.1', 8008],
  ['postgres://user:secret@h:1/x', 'h', 1],
  ['postgres:///postgres', undefined, undefined],
  ['postgres://10.0.0.1:0/postgres', undefined, undefined],
  ['nonsense', undefined, undefined],
  ['', undefined, undefined],
  [undefined, undefined, undefined],
]
for (const [url, host, port] of urls) {
  test(`${url} answers at ${host} port ${port}`, () => {
    const found = hostPortOf(url)
    assert.deepEqual([found?.host, found?.port], [host, port])
  })
}

const tagRows: readonly (readonly [Tags, boolean])[] = [
  [{}, true],
  [{ nofailover: true }, false],
  [{ nofailover: false }, true],
  [{ nofailover: null }, true],
  [{ nofailover: 'no' }, false],
  [{ nofailover: 'false' }, false],
  [{ nofailover: '' }, true],
  [{ nofailover: 1 }, false],
  [{ nofailover: 0 }, true],
  [{ nofailover: [] }, true],
  [{ nofailover: ['x'] }, false],
  [{ failover_priority: 0 }, false],
  [{ failover_priority: -1 }, false],
  [{ failover_priority: '0' }, false],
  [{ failover_priority: 2 }, true],
  [{ failover_priority: 'x' }, true],
  [{ nofailover: false, failover_priority: 0 }, true],
  [{ nofailover: true, failover_priority: 5 }, false],
]
for (const [tags, may] of tagRows) {
  test(`a member with ${JSON.stringify(tags)} ${may ? 'may' : 'may not'} lead`, () => {
    assert.equal(mayLead({ tags }), may)
  })
}

test('a tag without a priority of its own is only itself', () => {
  assert.equal(isTagged({ failover_priority: 0 }, 'noloadbalance'), false)
})

test('the numbers of the states are their places', () => {
  assert.deepEqual(
    ['initializing new cluster', 'creating replica', 'running', 'stopped', 'crashed'].map(state =>
      (memberStates as readonly string[]).indexOf(state),
    ),
    [0, 4, 5, 12, 14],
  )
})
