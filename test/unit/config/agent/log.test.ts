import assert from 'node:assert/strict'
import test from 'node:test'
import { readEnvironment } from '../../../../src/config/agent/environment.ts'
import { localConfig, printWarning } from '../../../../src/config/agent/local.ts'
import type { LocalConfig } from '../../../../src/config/agent/types.ts'
import { parseYamlMapping } from '../../../../src/config/agent/yaml.ts'
import { compileLook } from '../../../../src/platform/log-format.ts'

const minimal = `scope: main
name: pg1
etcd3: {hosts: [10.0.0.4]}
restapi: {listen: '10.0.0.1:8008'}
postgresql:
  listen: 10.0.0.1:5432
  connect_address: 10.0.0.1:5432
  data_dir: /data
  authentication: {replication: {username: repl, password: 's3cret'}}
`
const read = (text: string): LocalConfig =>
  localConfig({ file: 'p.yml', ...parseYamlMapping(minimal + text, 'p.yml') }, 'postgres')

const record = {
  severity: 30,
  wallMs: new Date(2026, 10, 26, 4, 5, 6, 7).getTime(),
  text: 'told',
  logger: 'pgherd.agent',
  fields: { rule: 'lead' },
}

const looks: readonly (readonly [string, string])[] = [
  ['', '2026-11-26 04:05:06,007 INFO: told\n'],
  ["log: {format: '%(levelname)s %(message)s'}\n", 'INFO told\n'],
  ['log: {dateformat: "%H:%M"}\n', '04:05 INFO: told\n'],
  ["log: {format: '%(dc)s %(message)s', static_fields: {dc: 7}}\n", '7 told\n'],
  [
    'log: {type: json}\n',
    '{"asctime":"2026-11-26 04:05:06,007","levelname":"INFO","message":"told","rule":"lead"}\n',
  ],
  [
    'log: {type: json, format: [message, {levelname: level}], static_fields: {app: x}}\n',
    '{"message":"told","level":"INFO","rule":"lead","app":"x"}\n',
  ],
  ["log: {type: json, format: '%(message)s'}\n", '{"message":"told","rule":"lead"}\n'],
]
for (const [text, line] of looks) {
  test(`a line with ${text.trim() === '' ? 'nothing configured' : text.trim()}`, () => {
    const { log, warnings } = read(text)
    assert.equal(compileLook(log.look).print(record), line)
    assert.deepEqual(warnings, [])
  })
}

test('a directory makes a file there, with its size, its number and what may wait', () => {
  const { log, warnings } = read(
    'log: {dir: /var/log/patroni/, mode: 0640, file_num: 9, file_size: 1000000, max_queue_size: 50}\n',
  )
  assert.deepEqual(log.file, {
    path: '/var/log/patroni/patroni.log',
    bytesMax: 1_000_000,
    oldFiles: 9,
    linesMax: 50,
    mode: 0o640,
  })
  assert.deepEqual(warnings, [])
  const { bytesMax, oldFiles, linesMax } = read('log: {dir: logs}\n').log.file ?? {}
  assert.deepEqual([bytesMax, oldFiles, linesMax], [25_000_000, 4, 1_000])
  assert.equal(read('').log.file, undefined)
})

test('loggers by our names and by those of modules of Patroni give parts their levels', () => {
  const { log, warnings } = read(
    'log:\n  loggers: {patroni: WARNING, patroni.postgresql.rewind: DEBUG, pgherd.etcd: error}\n',
  )
  assert.deepEqual(Object.fromEntries(log.levels), {
    agent: 'warning',
    postgres: 'debug',
    etcd: 'error',
    rest: 'warning',
  })
  assert.deepEqual(warnings, [])
})

const wrong: readonly (readonly [string, string])[] = [
  [
    'log:\n  loggers: {kazoo: INFO}',
    'log.loggers.kazoo is no part of this program (pgherd.agent, pgherd.postgres, pgherd.etcd, pgherd.rest)',
  ],
  [
    'log:\n  loggers: {patroni.api: LOUD}',
    'log.loggers.patroni.api has no level (DEBUG ... CRITICAL): the general one is used',
  ],
  [
    "log:\n  format: '%(funcName)s %(message)s'",
    'log.format has %(funcName), which is not known here and prints nothing',
  ],
  ["log:\n  dateformat: '%Q'", 'log.dateformat has %Q, which is not known here and prints nothing'],
  ['log:\n  format: [message]', 'log.format is no text, as type plain wants it: the default is used'],
  [
    'log: {type: json,\n  format: 7}',
    'log.format is no list of fields, as type json wants it: the default is used',
  ],
  ['log: {dir: x,\n  mode: 9999}', 'log.mode is no file mode such as 0644: the default is used'],
  ['log: {dir: x,\n  file_num: -1}', 'log.file_num is less than 0: 4 is used'],
  ['log:\n  traceback_level: DEBUG', 'log.traceback_level is accepted, but this version does not act on it'],
  [
    'log:\n  deduplicate_heartbeat_logs: false',
    'log.deduplicate_heartbeat_logs has no effect: a sentence that stays the same is told once a minute',
  ],
  ['log:\n  levle: INFO', 'log.levle is not a known setting and has no effect'],
]
for (const [text, says] of wrong) {
  test(`${JSON.stringify(text)} is a warning with file and line`, () => {
    assert.deepEqual(read(`${text}\n`).warnings.map(printWarning), [`p.yml:11: ${says}`])
  })
}

test('the variables of the environment, the old names too', () => {
  const { value } = readEnvironment({
    PATRONI_LOGLEVEL: 'DEBUG',
    PATRONI_LOGFORMAT: '%(message)s',
    PATRONI_LOG_DATEFMT: '%H',
    PATRONI_LOG_DIR: '/log',
    PATRONI_LOG_FILE_NUM: '3',
    PATRONI_LOG_LOGGERS: 'patroni.ha: ERROR',
  })
  assert.deepEqual(value['log'], {
    level: 'DEBUG',
    format: '%(message)s',
    dateformat: '%H',
    dir: '/log',
    file_num: 3,
    loggers: { 'patroni.ha': 'ERROR' },
  })
})
