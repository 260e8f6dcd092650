import assert from 'node:assert/strict'
import test from 'node:test'
import {
  connectionWords,
  conninfo,
  passwordFile,
  postgresqlConf,
  quoteConninfo,
  quoteSetting,
  recoveryConf,
  standbySettings,
  withoutOurParameters,
} from '../../../src/postgres/settings-text.ts'

const settings = [
  ['plain', "'plain'"],
  ["it's", "'it''s'"],
  ['C:\\dir', "'C:\\\\dir'"],
  ['two\nlines', "'two lines'"],
  ['', "''"],
] as const
for (const [value, quoted] of settings) {
  test(`postgresql.conf carries ${JSON.stringify(value)} as ${quoted}`, () => {
    assert.equal(quoteSetting(value), quoted)
  })
}

const words = [
  ['10.0.0.1', '10.0.0.1'],
  ['/var/run/postgresql', '/var/run/postgresql'],
  ['', "''"],
  ['two words', "'two words'"],
  ["it's \\", "'it\\'s \\\\'"],
] as const
for (const [value, quoted] of words) {
  test(`a connection string carries ${JSON.stringify(value)} as ${quoted}`, () => {
    assert.equal(quoteConninfo(value), quoted)
  })
}

test('a connection names the password file and the modes that the operator did not choose', () => {
  const who = {
    username: 'repl',
    password: 'x',
    options: { sslmode: 'verify-ca', sslrootcert: '/etc/ca.crt' },
  }
  const text = conninfo(connectionWords({ host: 'pg2', port: 5433 }, who, '/home/pg/pass'))
  assert.equal(
    text,
    'host=pg2 port=5433 user=repl passfile=/home/pg/pass sslmode=verify-ca gssencmode=prefer channel_binding=prefer ' +
      'connect_timeout=30 keepalives_idle=30 keepalives_interval=10 keepalives_count=3 tcp_user_timeout=60000 sslrootcert=/etc/ca.crt',
  )
})

test('a tool gives a host that vanished up after a minute, or as the operator says', () => {
  const words = (options: Readonly<Record<string, string>>, major: number) =>
    connectionWords(
      { host: 'pg2', port: 5432 },
      { username: 'repl', password: undefined, options },
      '/pass',
      major,
    )
  const { keepalives_idle, keepalives_interval, keepalives_count, tcp_user_timeout } = words({}, 15)
  const seconds = Number(keepalives_idle) + Number(keepalives_interval) * Number(keepalives_count)
  assert.deepEqual([seconds, Number(tcp_user_timeout)], [60, 60_000])
  assert.equal(words({}, 11)['tcp_user_timeout'], undefined)
  const own = words({ connect_timeout: '5', keepalives: '0', tcp_user_timeout: '0' }, 15)
  assert.deepEqual([own['connect_timeout'], own['keepalives'], own['tcp_user_timeout']], ['5', '0', '0'])
})

test('nobody but us sets where a standby streams from and how far it recovers', () => {
  const wishes = {
    restore_command: 'cp /a/%f %p',
    recovery_target_time: 'now',
    primary_conninfo: 'host=evil',
  }
  const source = { primaryConninfo: 'host=good', primarySlotName: 'pg1' }
  const standby = standbySettings(source, wishes)
  assert.deepEqual(standby, {
    restore_command: 'cp /a/%f %p',
    recovery_target_timeline: 'latest',
    primary_conninfo: 'host=good',
    primary_slot_name: 'pg1',
  })
  const conf = postgresqlConf(
    'postgresql.base.conf',
    { work_mem: '4MB', primary_conninfo: 'host=evil' },
    standby,
  )
  assert.equal(
    conf.slice(conf.indexOf('include')),
    `include 'postgresql.base.conf'

work_mem = '4MB'

restore_command = 'cp /a/%f %p'
recovery_target_timeline = 'latest'
primary_conninfo = 'host=good'
primary_slot_name = 'pg1'
`,
  )
})

test('recovery.conf leaves empty settings out', () => {
  const text = recoveryConf({
    recovery_target_timeline: 'latest',
    primary_conninfo: '',
    primary_slot_name: 'a',
  })
  assert.equal(
    text.slice(text.indexOf('standby')),
    "standby_mode = 'on'\nrecovery_target_timeline = 'latest'\nprimary_slot_name = 'a'\n",
  )
})

test('postgresql.auto.conf loses recovery parameters and nothing else', () => {
  const text = "work_mem = '4MB'\nprimary_conninfo = 'host=a'\n  Restore_Command = 'x'\n# primary_conninfo\n"
  assert.equal(withoutOurParameters(text), "work_mem = '4MB'\n# primary_conninfo\n")
  assert.equal(withoutOurParameters("work_mem = '4MB'\n"), undefined)
  const byHand = "work_mem = '4MB'\nsynchronous_standby_names = ''\n"
  assert.equal(withoutOurParameters(byHand), undefined, 'ours only in a synchronous mode')
  assert.equal(withoutOurParameters(byHand, true), "work_mem = '4MB'\n")
})

test('the password file escapes its separators and leaves users without password out', () => {
  const users = [
    { username: 'repl', password: 'a:b\\c' },
    { username: 'nobody', password: undefined },
    { username: 'o:dd', password: 'x' },
  ]
  assert.equal(passwordFile(users), '*:*:*:repl:a\\:b\\\\c\n*:*:*:o\\:dd:x\n')
})
