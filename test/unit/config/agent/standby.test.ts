// The section `standby_cluster`: what a cluster follows.

import assert from 'node:assert/strict'
import test from 'node:test'
import { dynamicConfig } from '../../../../src/config/agent/dynamic.ts'
import { asStandbyLeader, serverSettings } from '../../../../src/config/agent/settings.ts'
import { localConfig } from '../../../simulation/local-config.ts'

const read = (section: unknown) => dynamicConfig({ standby_cluster: section as never }, true)
const watchdog = { mode: 'off', device: '/dev/watchdog', safetyMarginSeconds: 5, driver: 'default' } as const
const nothing = {
  slotName: undefined,
  restoreCommand: undefined,
  archiveCleanupCommand: undefined,
  recoveryMinApplyDelay: undefined,
  replicaMethods: undefined,
}

const rows: readonly [string, object, object][] = [
  ['a host', { host: 'a' }, { hosts: [{ host: 'a', port: 5432 }] }],
  [
    'several hosts and one port',
    { host: 'a, b', port: 5433 },
    {
      hosts: [
        { host: 'a', port: 5433 },
        { host: 'b', port: 5433 },
      ],
    },
  ],
  [
    'a port for each host, as text',
    { host: 'a,b', port: '1,2' },
    {
      hosts: [
        { host: 'a', port: 1 },
        { host: 'b', port: 2 },
      ],
    },
  ],
  ['an address in brackets', { host: '[::1]' }, { hosts: [{ host: '::1', port: 5432 }] }],
  ['an archive alone', { restore_command: 'cp %f %p' }, { hosts: [], restoreCommand: 'cp %f %p' }],
  [
    'everything',
    {
      host: 'a',
      primary_slot_name: 's',
      archive_cleanup_command: 'x',
      recovery_min_apply_delay: '5min',
      create_replica_methods: ['one', 'basebackup'],
    },
    {
      hosts: [{ host: 'a', port: 5432 }],
      slotName: 's',
      archiveCleanupCommand: 'x',
      recoveryMinApplyDelay: '5min',
      replicaMethods: ['one', 'basebackup'],
    },
  ],
]
for (const [what, section, wanted] of rows)
  test(`standby_cluster: ${what}`, () => {
    const { standbyCluster, warnings } = read(section)
    assert.deepEqual(standbyCluster, { ...nothing, ...wanted })
    assert.deepEqual(warnings, [])
  })

for (const [what, section, says] of [
  ['neither host nor archive', { primary_slot_name: 's' }, /^standby_cluster: names neither host nor/],
  ['no section', 'yes', /^standby_cluster: expected a section/],
  ['a port that is none', { host: 'a', port: 'x' }, /port: expected one for all hosts/],
  ['more ports than hosts', { host: 'a', port: '1,2' }, /port: expected one for all hosts/],
  ['a slot that PostgreSQL refuses', { host: 'a', primary_slot_name: 'A-b' }, /is no slot's name/],
  ['a port and no host', { port: 5432 }, /receives nothing/],
] as const)
  test(`standby_cluster, ${what}: a warning`, () => assert.match(read(section).warnings.join(), says))

test('in a standby cluster nothing is confirmed and nobody is promised anything', () => {
  const { synchronousMode, isFailsafeMode } = dynamicConfig(
    { synchronous_mode: true, failsafe_mode: true, standby_cluster: { host: 'a' } },
    true,
  )
  assert.deepEqual([synchronousMode, isFailsafeMode], ['off', false])
})

test('all members read the archive of the other cluster; the delay and its own settings are for the leader', () => {
  const dynamic = dynamicConfig(
    {
      postgresql: { parameters: { work_mem: '1MB' }, parameters_standby_leader: { work_mem: '2MB' } },
      standby_cluster: { host: 'a', restore_command: 'cp %f %p', recovery_min_apply_delay: '5min' },
    },
    true,
  )
  const settings = serverSettings(localConfig('pg1', 1, { dynamic: {}, watchdog }, {}), dynamic)
  assert.deepEqual(settings.recovery, { restore_command: 'cp %f %p' })
  const leads = asStandbyLeader(settings).byRole?.replica
  assert.deepEqual(leads?.recovery, { restore_command: 'cp %f %p', recovery_min_apply_delay: '5min' })
  assert.equal(leads?.parameters['work_mem'], '2MB')
  assert.equal(settings.byRole?.replica, undefined)
  const own = serverSettings(localConfig('pg1', 1, { dynamic: {}, watchdog }, {}), dynamicConfig({}, true))
  assert.equal(asStandbyLeader(own), own)
})
