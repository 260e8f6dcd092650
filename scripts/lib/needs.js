// Which programs each purpose needs, which Debian package brings them, and why. Programs that are there are left alone,
// whoever installed them.

import { existsSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { findProgram } from './paths.js'

/**
 * @typedef {'build' | 'demo' | 'versus' | 'test' | 'drivers' | 'backup' | 'disk' | 'audit' | 'shell' | 'bench'} Purpose `drivers`,
 * `backup`, `disk`, `audit` and `shell`: long tests that need besides `test` drivers of other languages, a backup program, a
 * file system that can hang, an extension that logs statements, another shell
 */

/** Purposes that come on top of `test`. */
const BEYOND_TEST = /** @type {readonly Purpose[]} */ (['drivers', 'backup', 'disk', 'audit', 'shell'])

/**
 * @typedef {object} Need
 * @property {string} package Debian's name
 * @property {string} why
 * @property {readonly Purpose[]} purposes
 * @property {() => boolean} isThere
 */

const SERVERS_DIR = '/usr/lib/postgresql'

/** @type {readonly Need[]} */
export const NEEDS = [
  {
    package: 'postgresql-15',
    why: 'the database servers of the cluster',
    purposes: ['demo', 'versus', 'test', 'bench'],
    isThere: () => hasServerTools(SERVERS_DIR),
  },
  {
    package: 'etcd-server',
    why: 'the store that knows who leads',
    purposes: ['demo', 'versus', 'test', 'bench'],
    isThere: () => findProgram('etcd') !== undefined,
  },
  {
    package: 'etcd-client',
    why: 'etcdctl: health of the store, snapshots and their restore',
    purposes: ['demo', 'versus', 'test', 'bench'],
    isThere: () => findProgram('etcdctl') !== undefined,
  },
  {
    package: 'iproute2',
    why: 'ip: addresses and network namespaces',
    purposes: ['demo', 'versus', 'test', 'bench'],
    isThere: () => findProgram('ip') !== undefined,
  },
  {
    package: 'patroni',
    why: 'the real Patroni, which pgherd must get along with',
    purposes: ['versus', 'test'],
    isThere: () => findProgram('patroni') !== undefined,
  },
  {
    package: 'haproxy',
    why: 'the router that pgherd is compared with',
    purposes: ['versus', 'test', 'bench'],
    isThere: () => findProgram('haproxy') !== undefined,
  },
  {
    package: 'keepalived',
    why: 'the address keeper that pgherd is compared with',
    purposes: ['test'],
    isThere: () => findProgram('keepalived') !== undefined,
  },
  {
    package: 'pgbouncer',
    why: 'the pooler that pgherd is measured against',
    purposes: ['test', 'bench'],
    isThere: () => findProgram('pgbouncer') !== undefined,
  },
  {
    package: 'nftables',
    why: 'nft: cuts the network between test hosts, inside their own namespaces',
    purposes: ['test'],
    isThere: () => findProgram('nft') !== undefined,
  },
  {
    package: 'locales',
    why: 'localedef: the locale that the seed deployment names',
    purposes: ['test'],
    isThere: () => existsSync('/usr/share/i18n/locales/zh_CN'),
  },
  {
    package: 'iputils-arping',
    why: 'arping: the callback script of the seed deployment tells its neighbours of an address with it',
    purposes: ['test'],
    isThere: () => findProgram('arping') !== undefined,
  },
  {
    package: 'python3-psycopg2',
    why: 'the Python driver, whose errors are shown in docs/drivers.md',
    purposes: ['test'],
    isThere: () => existsSync('/usr/lib/python3/dist-packages/psycopg2'),
  },
  {
    package: 'libpostgresql-jdbc-java',
    why: 'the Java driver, for the long test of drivers alone',
    purposes: ['drivers'],
    isThere: () => existsSync('/usr/share/java/postgresql.jar'),
  },
  {
    package: 'default-jdk-headless',
    why: 'java: runs the clients of that driver',
    purposes: ['drivers'],
    isThere: () => findProgram('javac') !== undefined,
  },
  {
    package: 'pgbackrest',
    why: 'pgBackRest, which copies replicas from its repository in a long test',
    purposes: ['backup'],
    isThere: () => findProgram('pgbackrest') !== undefined,
  },
  {
    package: 'bindfs',
    why: 'a file system whose process can be stopped: storage that hangs or is lost, in a long test',
    purposes: ['disk'],
    isThere: () => findProgram('bindfs') !== undefined,
  },
  {
    package: 'postgresql-15-pgaudit',
    why: 'pgaudit, which logs statements: in a long test no password may be among them',
    purposes: ['audit'],
    isThere: () => existsSync(path.join(SERVERS_DIR, '15/lib/pgaudit.so')),
  },
  {
    package: 'zsh',
    why: 'zsh, in which the completion of pgherdctl is tried out',
    purposes: ['shell'],
    isThere: () => findProgram('zsh') !== undefined,
  },
]

/**
 * What these purposes need and the machine does not have.
 * @param {Purpose | readonly Purpose[]} purposes
 * @returns {readonly Need[]}
 */
export function missingNeeds(purposes) {
  const named = [purposes].flat()
  const wanted = named.some(purpose => BEYOND_TEST.includes(purpose)) ? ['test', ...named] : named
  return NEEDS.filter(need => need.purposes.some(one => wanted.includes(one)) && !need.isThere())
}

/**
 * The newest server version below `directory` that has every tool that we use, or undefined.
 * @param {string} directory
 * @returns {string | undefined} for example `/usr/lib/postgresql/15/bin`
 */
export function serverToolsDir(directory) {
  if (!existsSync(directory)) return undefined
  return readdirSync(directory)
    .filter(name => /^\d+$/.test(name))
    .sort((left, right) => Number(right) - Number(left))
    .map(major => path.join(directory, major, 'bin'))
    .find(bin =>
      ['postgres', 'initdb', 'pg_basebackup', 'pg_rewind'].every(tool => existsSync(path.join(bin, tool))),
    )
}

/** @param {string} directory */
function hasServerTools(directory) {
  return serverToolsDir(directory) !== undefined
}
