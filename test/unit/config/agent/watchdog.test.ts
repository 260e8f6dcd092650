// The watchdog section, and the operator's scripts of both sides.

import assert from 'node:assert/strict'
import test from 'node:test'
import { dynamicConfig } from '../../../../src/config/agent/dynamic.ts'
import { localConfig, printWarning } from '../../../../src/config/agent/local.ts'
import { serverSettings } from '../../../../src/config/agent/settings.ts'
import type { LocalConfig } from '../../../../src/config/agent/types.ts'
import { parseYamlMapping } from '../../../../src/config/agent/yaml.ts'

const minimal = `scope: main
name: pg1
etcd3: {host: 10.0.0.4}
restapi: {listen: '10.0.0.1:8008'}
postgresql:
  listen: 10.0.0.1:5432
  connect_address: 10.0.0.1:5432
  data_dir: /data
  authentication: {replication: {username: repl}}
`

function read(text: string): LocalConfig {
  return localConfig({ file: 'p.yml', ...parseYamlMapping(minimal + text, 'p.yml') }, 'postgres')
}

test('without a section the defaults are Patroni’s', () => {
  const { watchdog, scripts } = read('')
  assert.deepEqual(watchdog, {
    mode: 'automatic',
    device: '/dev/watchdog',
    safetyMarginSeconds: 5,
    driver: 'default',
  })
  assert.equal(scripts.primaryRole, 'primary')
  assert.equal(scripts.callbackTimeoutMs, undefined)
})

test('the seed’s section is read as it is', () => {
  const text =
    'watchdog:\n  mode: automatic # Allowed values: off, automatic, required\n  device: /dev/watchdog\n  safety_margin: 5\n'
  assert.deepEqual(read(text).watchdog, read('').watchdog)
  assert.deepEqual(read(text).warnings, [])
})

for (const [word, mode] of [
  ['off', 'off'],
  ['"off"', 'off'],
  ['no', 'off'],
  ['disabled', 'off'],
  ['auto', 'automatic'],
  ['on', 'automatic'],
  ['required', 'required'],
  ['Require', 'required'],
] as const) {
  test(`watchdog.mode: ${word} is ${mode}`, () => {
    assert.equal(read(`watchdog: {mode: ${word}}\n`).watchdog.mode, mode)
  })
}

for (const [text, expected] of [
  [
    'watchdog: {mode: requird}',
    /p.yml:10: watchdog.mode: expected off, automatic or required, found "requird"/,
  ],
  ['watchdog: {safety_margin: -2}', /watchdog.safety_margin: expected seconds, or -1 for half of the lease/],
  ['watchdog: {driver: ipmi}', /watchdog.driver: expected default or testing/],
  ['pgherd: {callback_role: slave}', /pgherd.callback_role: expected primary or master/],
  ['pgherd: {callback_timeout: soon}', /pgherd.callback_timeout: expected a time as 30s or 5min/],
] as const) {
  test(`${text} is refused with its place`, () => {
    assert.throws(() => read(`${text}\n`), expected)
  })
}

test('times of scripts have units, and an unknown key is told of', () => {
  const config = read(
    'pgherd: {callback_role: master, callback_timeout: 30s, pre_promote_timeout: 2min, before_stop_timeout: 5, short_ttl: true}\n',
  )
  assert.deepEqual(config.scripts, {
    primaryRole: 'master',
    callbackTimeoutMs: 30_000,
    prePromoteTimeoutMs: 120_000,
    beforeStopTimeoutMs: 5_000,
  })
  assert.deepEqual(config.warnings.map(printWarning), [
    'p.yml:10: pgherd.short_ttl is not a known setting and has no effect',
  ])
})

test('callbacks of the file win over the cluster’s, each by itself; what is no command line is left out', () => {
  const local = localConfig(
    {
      file: 'p.yml',
      ...parseYamlMapping(
        `${minimal}  callbacks: {on_start: a, on_stop: 7, on_strat: b}\n  pre_promote: c\n`,
        'p.yml',
      ),
    },
    'postgres',
  )
  const dynamic = dynamicConfig(
    { postgresql: { callbacks: { on_start: 'x', on_reload: 'y' }, pre_promote: 'z', before_stop: 'w' } },
    true,
  )
  const { scripts, warnings } = serverSettings(local, dynamic)
  assert.deepEqual(scripts, {
    callbacks: { on_start: 'a', on_reload: 'y' },
    prePromote: 'c',
    beforeStop: 'w',
  })
  assert.deepEqual(warnings, [
    'postgresql.callbacks.on_stop: expected a command line',
    'postgresql.callbacks.on_strat: is not a known callback and is never called',
  ])
})
