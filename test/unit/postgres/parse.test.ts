import assert from 'node:assert/strict'
import test from 'node:test'
import { commandWords } from '../../../src/postgres/command-words.ts'
import { parseControlData } from '../../../src/postgres/control-data.ts'
import {
  postmasterEnvironment,
  serverEnvironment,
  toolEnvironment,
} from '../../../src/postgres/environment.ts'
import { belongsTo } from '../../../src/postgres/family.ts'
import { md5Verifier, scramVerifier } from '../../../src/postgres/password.ts'
import { readAnswer } from '../../../src/postgres/ping.ts'
import { parsePostmasterPid } from '../../../src/postgres/postmaster-pid.ts'
import { parseStat } from '../../../src/postgres/procfs.ts'

const STAT =
  '4242 (postgres: ) x) S 1 4242 4242 34816 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 987654 1 2 3 4 5 6 7 8 9'

test('a process whose name holds brackets is still read right', () => {
  assert.deepEqual(parseStat(STAT), {
    pid: 4242,
    command: 'postgres: ) x',
    state: 'S',
    parentPid: 1,
    processGroup: 4242,
    terminal: 34816,
    startTicks: '987654',
  })
})

for (const text of ['', '42', '42 (cut', '42 (short) S 1']) {
  test(`${JSON.stringify(text)} is no process`, () => assert.equal(parseStat(text), undefined))
}

const members = [
  // working directory, command, terminal, belongs
  ['/data', 'postgres', 0, true],
  ['/data (deleted)', 'postgres', 0, true],
  ['/data', 'cp', 0, true],
  ['/data', 'bash', 34816, false],
  ['/data', 'postgres', 34816, true],
  ['/data2', 'postgres', 0, false],
  ['/data/base', 'postgres', 0, false],
  [undefined, 'postgres', 0, false],
] as const
for (const [directory, command, terminal, belongs] of members) {
  test(`${command} in ${directory} on terminal ${terminal} ${belongs ? 'belongs' : 'does not belong'} to /data`, () => {
    assert.equal(belongsTo('/data', directory, { command, terminal }), belongs)
  })
}

const pidFiles = [
  ['4242\n/data\n1700000000\n5432\n/tmp\n127.0.0.1\n  123 4\nready   \n', 4242, 'ready', 5432],
  ['4242\n/data\n1700000000\n5432\n/tmp\n', 4242, undefined, 5432],
  ['-4242\n/data\n', 4242, undefined, undefined],
] as const
for (const [text, pid, status, port] of pidFiles) {
  test(`postmaster.pid ${JSON.stringify(text.slice(0, 20))}... names ${pid}, ${status}`, () => {
    const parsed = parsePostmasterPid(text)
    assert.deepEqual([parsed?.pid, parsed?.status, parsed?.port], [pid, status, port])
  })
}

test('a single-user server is told from a postmaster by the sign of its pid', () => {
  assert.equal(parsePostmasterPid('-4242\n/data\n')?.singleUser, true)
  assert.equal(parsePostmasterPid('4242\n/data\n')?.singleUser, false)
})

for (const text of ['', 'abc\n', '0\n', '1\n']) {
  test(`postmaster.pid ${JSON.stringify(text)} names nobody`, () => {
    assert.equal(parsePostmasterPid(text), undefined)
  })
}

const CONTROL = `pg_control version number:            1300
Catalog version number:               202209061
Database system identifier:           7711585854999458331
Database cluster state:               shut down in recovery
Latest checkpoint location:           16/B374D848
Latest checkpoint's TimeLineID:       7
Minimum recovery ending location:     16/B374D900
Min recovery ending loc's timeline:   8
wal_log_hints setting:                on
max_connections setting:              200
max_worker_processes setting:         9
max_wal_senders setting:              11
max_prepared_xacts setting:           3
max_locks_per_xact setting:           65
WAL block size:                       8192
Bytes per WAL segment:                16777216
Data page checksum version:           0
`

test('the control file is read whole', () => {
  assert.deepEqual(parseControlData(CONTROL), {
    systemId: '7711585854999458331',
    state: 'shut down in recovery',
    timeline: 7,
    checkpointLsn: 0x16b374d848n,
    minRecoveryEndLsn: 0x16b374d900n,
    minRecoveryEndTimeline: 8,
    hasChecksums: false,
    hasWalLogHints: true,
    majorVersion: 15,
    primarySettings: {
      max_connections: 200,
      max_worker_processes: 9,
      max_wal_senders: 11,
      max_prepared_transactions: 3,
      max_locks_per_transaction: 65,
    },
    blockBytes: 8192,
    walSegmentBytes: 16777216n,
  })
})

for (const text of ['', 'pg_controldata: error', CONTROL.replace('Latest checkpoint location', 'x')]) {
  test(`${JSON.stringify(text.slice(0, 25))} is no control file`, () => {
    assert.equal(parseControlData(text), undefined)
  })
}

const message = (kind: string, body: string) => {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(Buffer.byteLength(body) + 4)
  return Buffer.concat([Buffer.from(kind), length, Buffer.from(body)])
}
const answers = [
  ['an authentication request', message('R', '\0\0\0\n'), 'accepting'],
  [
    'starting up',
    message('E', 'SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0'),
    'rejecting',
  ],
  ['a missing role', message('E', 'SFATAL\0C28000\0Mno such role\0\0'), 'accepting'],
  ['another protocol', Buffer.from('HTTP/1.1 400'), 'silent'],
] as const
for (const [what, bytes, want] of answers) {
  test(`a server that answers with ${what} is ${want}, however the bytes are cut`, () => {
    assert.equal(readAnswer(bytes), want)
    for (let cut = 0; cut < bytes.length; cut++) {
      const early = readAnswer(bytes.subarray(0, cut))
      assert.ok(early === undefined || early === want)
    }
  })
}

const commands = [
  ['a b  c', ['a', 'b', 'c']],
  [`a 'b c' "d 'e"`, ['a', 'b c', "d 'e"]],
  [`a\\ b "c\\"d" 'e\\f'`, ['a b', 'c"d', 'e\\f']],
  [`a '' b`, ['a', '', 'b']],
  ['  ', []],
] as const
for (const [line, want] of commands) {
  test(`the command ${line} has ${want.length} words`, () => assert.deepEqual(commandWords(line), want))
}
test('an open quote in a command is a mistake', () => assert.throws(() => commandWords(`a "b`), /open "/))

test('the SCRAM verifier is that of RFC 7677', async () => {
  const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64')
  assert.equal(
    await scramVerifier('pencil', salt),
    'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=',
  )
})
test('the md5 verifier hashes password and user', () => {
  assert.equal(md5Verifier('secret', 'repl'), 'md563aff93e51141f8e64f7444a2cff22d1')
})

test('the number of memory arenas is given to PostgreSQL alone', () => {
  const env = { PG_MALLOC_ARENA_MAX: '2', MALLOC_ARENA_MAX: '1', NOTIFY_SOCKET: '/run/x' }
  assert.deepEqual(postmasterEnvironment(env), { MALLOC_ARENA_MAX: '2' })
  assert.deepEqual(postmasterEnvironment({ MALLOC_ARENA_MAX: '1' }), { MALLOC_ARENA_MAX: '1' })
})

test('children get neither our settings nor connection variables', () => {
  const env = {
    PATH: '/bin',
    PATRONI_SCOPE: 'x',
    NOTIFY_SOCKET: 'x',
    PGHOST: 'x',
    LC_ALL: 'de_DE',
    LANGUAGE: 'de',
  }
  assert.deepEqual(serverEnvironment(env), { PATH: '/bin', PGHOST: 'x', LC_ALL: 'de_DE', LANGUAGE: 'de' })
  assert.deepEqual(toolEnvironment({ PGPASSFILE: '/p' }, env), {
    PATH: '/bin',
    LC_ALL: 'C',
    PGPASSFILE: '/p',
  })
})
