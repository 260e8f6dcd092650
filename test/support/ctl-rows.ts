// ctl's commands, one row each: docs/contracts/ctl.md has them by name, `ctl-table.ts` runs them.

import path from 'node:path'
import { ROLES } from '../../src/demo/member-config.ts'
import type { RunOptions } from './run-program.ts'

/** What SQLFILE stands for. */
export const ONE_SQL = path.resolve(import.meta.dirname, '../fixtures/ctl/one.sql')

export interface CtlRow {
  /** Part of every run; the rest is for long runs. */
  readonly isCore?: true
  /**
   * SCOPE, LEADER and REPLICA stand for the names of the cluster, SQLFILE for a file with one statement; in an
   * input CONFIG stands for the configuration with one key more, as JSON.
   */
  readonly words: readonly string[]
  readonly options?: RunOptions
  readonly code: number
  /** Ours must print this; theirs may lack it. */
  readonly prints?: RegExp
  /** Since when ours says something else on standard error. */
  readonly since?: string
  /** Puts things back between theirs and ours, and after ours. */
  readonly restore?: Restore
}

export type Restore = 'config' | 'schedules'

const sql = {
  env: { PGUSER: ROLES.superuser.username, PGPASSWORD: ROLES.superuser.password, PGSSLMODE: 'disable' },
}
export const ctlRows: readonly CtlRow[] = [
  { words: ['list'], code: 0 },
  { isCore: true, words: ['list', 'SCOPE', '-e'], code: 0, prints: /^\+ Cluster: pgsql \(\d{19}\) / },
  { words: ['list', '-f', 'tsv'], code: 0 },
  { isCore: true, words: ['topology'], code: 0, prints: /\| \+ / },
  { words: ['history'], code: 0 },
  { isCore: true, words: ['history', '-f', 'json'], code: 0 },
  { words: ['show-config'], code: 0, prints: /^loop_wait: 1$/m },
  { isCore: true, words: ['show-config', 'SCOPE'], code: 0 },
  { words: ['dsn'], code: 0, prints: /^host=\S+ port=\d+\n$/ },
  { isCore: true, words: ['dsn', 'SCOPE', '-r', 'replica'], code: 0 },
  { words: ['dsn', '-m', 'REPLICA'], code: 0 },
  { isCore: true, words: ['dsn', '-m', 'nobody'], code: 1 },
  { words: ['dsn', '-m', 'REPLICA', '-r', 'any'], code: 1 },
  {
    isCore: true,
    words: [
      'query',
      '-c',
      "SELECT 1 AS a, true AS b, NULL AS c, 'x y' AS d, 1.5::float8 AS e",
      '-d',
      'postgres',
    ],
    options: sql,
    code: 0,
    prints: /^a\tb\tc\td\te\n1\tTrue\tNone\tx y\t1\.5\n$/,
  },
  {
    words: ['query', '-c', 'SELECT 1 AS a, false AS b', '-d', 'postgres', '--format', 'json'],
    options: sql,
    code: 0,
  },
  {
    words: ['query', '-c', "SELECT 1 AS a, 'on' AS b", '-d', 'postgres', '--format', 'yaml'],
    options: sql,
    code: 0,
  },
  {
    words: ['query', '-c', "SELECT 1 AS a, 'x' AS b", '-d', 'postgres', '--format', 'pretty'],
    options: sql,
    code: 0,
  },
  {
    words: ['query', '-c', 'SELECT 1, 2', '-d', 'postgres', '--delimiter', ';'],
    options: sql,
    code: 0,
    prints: /1;2\n$/,
  },
  {
    isCore: true,
    words: ['query', '-c', 'SELEC', '-d', 'postgres'],
    options: sql,
    code: 0,
    prints: /\tERROR, SQLSTATE: 42601\n$/,
  },
  {
    words: ['query', '-c', 'SELECT pg_is_in_recovery()', '-r', 'replica', '-d', 'postgres'],
    options: sql,
    code: 0,
    prints: /True/,
  },
  {
    words: ['query', '-c', 'SELECT pg_is_in_recovery()', '-m', 'REPLICA', '-d', 'postgres'],
    options: sql,
    code: 0,
    prints: /True/,
  },
  {
    words: ['query', '-c', 'SELECT 1', '-m', 'nobody', '-d', 'postgres'],
    options: sql,
    code: 0,
    prints: /No connection to member nobody is available/,
  },
  { words: ['query'], options: sql, code: 1 },
  { words: ['query', '-c', 'x', '-r', 'any', '-m', 'REPLICA'], options: sql, code: 1 },
  { isCore: true, words: ['version', 'SCOPE'], code: 0, prints: /^pg1: Patroni \S+ PostgreSQL 15\.\d+$/m },
  { words: ['version', 'SCOPE', 'REPLICA'], code: 0 },
  { words: ['edit-config', '-s', 'ttl=null', '-s', 'ttl=5', '--force'], code: 0, prints: /^Not changed\n$/ },
  {
    words: ['edit-config', '-s', 'x.y.z=1', '--force'],
    code: 0,
    prints: /^\+x:\n\+ {2}y:\n\+ {4}z: 1$/m,
    restore: 'config',
  },
  {
    // Shown and not applied: a pending restart would stay with the real one, and show in some of the tables that follow.
    words: ['edit-config', '-s', 'x=yes', '-p', 'superuser_reserved_connections=6'],
    options: { input: 'n\n' },
    code: 0,
    prints: /^\+ {4}superuser_reserved_connections: 6$/m,
  },
  {
    words: ['edit-config', '-s', 'x=yes', '-p', 'work_mem=6MB', '--force'],
    code: 0,
    prints: /^\+x: true$/m,
    restore: 'config',
  },
  {
    words: ['edit-config', '-p', 'pg_stat_statements.track=none', '-p', 'work_mem=null', '--force', '-q'],
    code: 0,
    prints: /^Configuration changed\n$/,
    restore: 'config',
  },
  { words: ['edit-config', '-s', 'x'], code: 1 },
  {
    words: ['edit-config', '-s', "x='1'"],
    options: { input: 'n\n' },
    code: 0,
    prints: /Apply these changes\? \[y\/N\]: /,
  },
  {
    isCore: true,
    words: ['edit-config', '-s', 'x=1'],
    options: { input: 'y\n' },
    code: 0,
    prints: /Configuration changed/,
    restore: 'config',
  },
  { words: ['edit-config', '-s', 'x=1'], code: 1 },
  {
    words: ['edit-config', '--apply', '-'],
    options: { input: 'x: {y: no}\n' },
    code: 0,
    prints: /Use --force option to apply changes/,
  },
  {
    words: ['edit-config', '--apply', '-', '--force'],
    options: { input: 'x: {y: no}\n' },
    code: 0,
    prints: /^\+ {2}y: false$/m,
    restore: 'config',
  },
  {
    words: ['edit-config'],
    options: { env: { EDITOR: '/usr/bin/true' } },
    code: 0,
    prints: /^Not changed\n$/,
  },
  { words: ['edit-config'], options: { env: { EDITOR: '/usr/bin/false' } }, code: 1 },
  {
    isCore: true,
    words: ['pause', '--wait'],
    code: 0,
    prints:
      /^'pause' request sent, waiting until it is recognized by all nodes\nSuccess: cluster management is paused\n$/,
    restore: 'config',
  },
  { words: ['resume'], code: 1 },
  {
    isCore: true,
    words: ['reload', 'SCOPE', 'REPLICA', '--force'],
    code: 0,
    prints: /Reload request received for member \S+ and will be processed within 1 seconds\n$/,
  },
  {
    words: ['reload', 'SCOPE', 'REPLICA'],
    options: { input: 'y\n' },
    code: 0,
    prints: /Are you sure you want to reload members \S+\? \[y\/N\]: /,
  },
  { words: ['reload', 'SCOPE', 'REPLICA'], options: { input: 'n\n' }, code: 1 },
  { words: ['reload', 'SCOPE', 'nobody', '--force'], code: 1 },
  { words: ['reload', 'SCOPE', 'LEADER', '-r', 'replica', '--force'], code: 1 },
  {
    isCore: true,
    words: ['restart', 'SCOPE', 'REPLICA', '--force'],
    code: 0,
    prints: /^Success: restart on member \S+\n/m,
  },
  {
    words: ['restart', 'SCOPE', 'REPLICA'],
    options: { input: 'now\ny\n9.5.2\n' },
    code: 0,
    prints: /Failed: restart for member \S+, status code=503, \(restart conditions are not satisfied\)/,
  },
  { words: ['restart', 'SCOPE', 'LEADER', '--pending', '--force'], code: 0, prints: /status code=503/ },
  { words: ['restart', 'SCOPE', 'LEADER', '--pg-version', 'x', '--force'], code: 1 },
  {
    words: ['restart', 'SCOPE', 'LEADER', '--timeout', '-1', '--force'],
    code: 0,
    prints: /status code=400, \(Timeout should be a positive number of seconds\)/,
  },
  {
    words: ['restart', 'SCOPE', 'REPLICA', '--scheduled', '2037-01-01T10:00+00:00', '--force'],
    code: 0,
    prints: /Success: restart scheduled on member/,
    restore: 'schedules',
  },
  { words: ['restart', 'SCOPE', 'REPLICA', '--scheduled', 'soon', '--force'], code: 1 },
  {
    isCore: true,
    words: ['flush', 'SCOPE', 'REPLICA', 'restart', '--force'],
    code: 0,
    prints: /No scheduled restart for member/,
  },
  {
    isCore: true,
    words: ['flush', 'SCOPE', 'switchover'],
    code: 0,
    prints: /^No pending scheduled switchover\n$/,
  },
  { words: ['reinit', 'SCOPE', 'LEADER', '--force'], code: 1 },
  {
    isCore: true,
    words: ['reinit', 'SCOPE', 'REPLICA', '--force', '--wait'],
    code: 0,
    prints:
      /Success: reinitialize for member \S+\nWaiting for reinitialize to complete on: \S+\nReinitialize is completed on: \S+\n$/,
  },
  { words: ['remove', 'SCOPE'], options: { input: 'other\n' }, code: 1 },
  { words: ['remove', 'SCOPE'], options: { input: 'pgsql\nyes\n' }, code: 1 },
  { words: ['remove', 'SCOPE'], options: { input: 'pgsql\nYes I am aware\nnobody\n' }, code: 1 },
  { isCore: true, words: ['switchover', '--force', '--leader', 'nobody'], code: 1 },
  { isCore: true, words: ['failover', '--force'], code: 1 },
  { words: ['list', '-t'], code: 0, prints: /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/ },
  { words: ['list', 'SCOPE', '-f', 'json'], code: 0, prints: /"Role": "Leader"/ },
  { words: ['list', '-f', 'yaml'], code: 0, prints: /^ {2}Role: Leader$/m },
  { words: ['list', 'SCOPE', 'nobody'], code: 0 },
  { words: ['topology', 'SCOPE', '-t'], code: 2 },
  { words: ['history', '-f', 'tsv'], code: 0 },
  { words: ['history', '-f', 'yaml'], code: 0 },
  { words: ['version'], code: 0 },
  { words: ['dsn', '-r', 'leader'], code: 0 },
  {
    words: ['query', '-f', 'SQLFILE', '-d', 'postgres', '-U', ROLES.superuser.username],
    options: sql,
    code: 0,
    prints: /^a\tb\n1\tx\n$/,
  },
  { words: ['query', '-f', '/nonexistent.sql', '-d', 'postgres'], options: sql, code: 2 },
  {
    words: ['edit-config', '--replace', '-'],
    options: { input: 'ttl: 30\n' },
    code: 0,
    prints: /Use --force option to apply changes/,
  },
  { words: ['edit-config', '--apply', '/nonexistent.yml', '--force'], code: 1, since: '4.0' },
  {
    words: ['reload', 'SCOPE', '-r', 'leader', '--force'],
    code: 0,
    prints: /Reload request received for member \S+ and will be/,
  },
  { words: ['flush', 'SCOPE', 'restart', '--force'], code: 0, prints: /No scheduled restart for member/ },
  { words: ['flush', 'SCOPE', 'nonsense'], code: 2 },
  { words: ['reinit', 'SCOPE', 'nobody', '--force'], code: 1 },
  { words: ['reinit', 'SCOPE', 'REPLICA'], options: { input: 'n\n' }, code: 1 },
  { words: ['restart', 'SCOPE', 'REPLICA'], options: { input: 'now\nn\n' }, code: 1 },
  { words: ['switchover'], options: { input: '\n\n\nn\n' }, code: 1, prints: /Primary \[pg\d\]: / },
  { words: ['switchover', '--leader', 'LEADER', '--candidate', 'LEADER', '--force'], code: 1 },
  { words: ['switchover', '--candidate', 'nobody', '--force'], code: 1, since: '4.0' },
  { words: ['switchover', '--scheduled', 'soon', '--force'], code: 1 },
  { words: ['failover', '--candidate', 'LEADER', '--force'], code: 1 },
  { words: ['failover', '--candidate', 'REPLICA'], options: { input: 'n\n' }, code: 1 },
  { words: ['pause', 'SCOPE', '--nonsense'], code: 2 },
  { words: ['resume', '--wait'], code: 1 },
  { words: ['remove'], code: 2 },
  { words: ['remove', 'SCOPE', '-f', 'tsv'], options: { input: 'other\n' }, code: 1 },
  {
    words: ['flush', 'SCOPE', '-r', 'replica', 'restart', '--force'],
    code: 0,
    prints: /No scheduled restart for member/,
  },
  {
    words: ['restart', 'SCOPE', '-r', 'replica', '--force'],
    code: 0,
    prints: /^Success: restart on member \S+\n/m,
  },
  { words: ['-k', 'list'], code: 0, prints: /\| Leader +\|/ },
  { words: ['switchover', '--primary', 'nobody', '--force'], code: 1 },
  { words: ['dsn', '-r', 'primary'], code: 0, prints: /^host=/ },
  { words: ['dsn', '-r', 'master'], code: 0, prints: /^host=/ },
  { words: ['dsn', '-r', 'standby'], code: 0, prints: /^host=/ },
  { words: ['dsn', '-r', 'any'], code: 0, prints: /^host=/ },
  {
    words: ['edit-config', '--replace', '-', '--force'],
    options: { input: 'CONFIG' },
    code: 0,
    prints: /^\+x:\n\+ {2}y: false\n[\s\S]*Configuration changed\n$/m,
    restore: 'config',
  },
  { words: ['nonsense'], code: 2 },
  { isCore: true, words: ['list', '--nonsense'], code: 2 },
  { words: ['restart'], code: 2 },
]
