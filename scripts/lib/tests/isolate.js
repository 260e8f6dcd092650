// How a test file gets its own network and mount namespace: by root's right, or inside a user namespace that keeps the
// user's id. And how everything that lives in such a namespace is found again.

import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { runQuiet } from '../run.js'
import { SetupError } from '../say.js'

const ENTER = fileURLToPath(new URL('enter.sh', import.meta.url))

/**
 * The command words that run a program in namespaces of its own. `work/data` must exist; it gets a tmpfs of the account.
 * The program gets SIGTERM when we die, so that it can clean up.
 * @param {string} work
 * @param {{ uid: number, gid: number }} account
 * @returns {readonly string[]}
 */
export function isolation(work, account) {
  return [
    ...['unshare', ...userNamespace(), '--net', '--mount', '--', 'setpriv', '--pdeathsig', 'TERM', '--'],
    ...['sh', ENTER, work, String(account.uid), String(account.gid)],
  ]
}

/** Fails with the cure when this machine does not let us make the namespaces that the tests need. */
export async function checkIsolation() {
  const inside = 'ip link set lo up && ip link add name pgherd-try type bridge && mount -t tmpfs tmpfs /mnt'
  const tried = await runQuiet('unshare', [...userNamespace(), '--net', '--mount', '--', 'sh', '-c', inside])
  if (tried.code === 0) return
  throw new SetupError(
    `the tests on real servers need a network namespace each and cannot make one: ${tried.stderr.trim()}\n` +
      '  run them as root, or allow user namespaces (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone=1)',
  )
}

/**
 * The processes that live in a mount namespace.
 * @param {string} namespace as readlink prints it, `mnt:[4026532345]`
 * @returns {readonly number[]}
 */
export function processesIn(namespace) {
  return allProcesses().filter(pid => readOr(() => readlinkSync(`/proc/${pid}/ns/mnt`), '') === namespace)
}

/**
 * The processes that were started with this variable in their environment.
 * @param {string} assignment `NAME=value`
 * @returns {readonly number[]}
 */
export function processesWith(assignment) {
  return allProcesses()
    .filter(pid => pid !== process.pid)
    .filter(pid =>
      readOr(() => readFileSync(`/proc/${pid}/environ`, 'latin1'), '')
        .split('\0')
        .includes(assignment),
    )
}

/**
 * SIGKILL to what `find` finds, until it finds nothing (a second at most).
 * @param {() => readonly number[]} find
 */
export async function killUntilGone(find) {
  for (let round = 0; round < 50; round += 1) {
    const pids = find()
    if (pids.length === 0) return
    for (const pid of pids) killQuietly(pid)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

/**
 * What a process is, for people: its command line, or its name when that is empty.
 * @param {number} pid
 * @returns {string}
 */
export function describeProcess(pid) {
  const words = readOr(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8'), '')
    .split('\0')
    .join(' ')
    .trim()
  return words === ''
    ? readOr(() => readFileSync(`/proc/${pid}/comm`, 'utf8'), 'gone').trim()
    : words.slice(0, 160)
}

/** @param {number} pid */
function killQuietly(pid) {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // Already gone.
  }
}

function userNamespace() {
  return process.getuid?.() === 0 ? [] : ['--user', '--map-current-user', '--keep-caps']
}

function allProcesses() {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(Number)
}

/**
 * Processes end while we look at them, and others' may not be looked at.
 * @template T
 * @param {() => T} read
 * @param {T} fallback
 * @returns {T}
 */
function readOr(read, fallback) {
  try {
    return read()
  } catch {
    return fallback
  }
}
