// The unprivileged account that runs servers and agents when the scripts are started by root. PostgreSQL and the agent
// refuse root, and nothing that a test starts needs root's rights.

import { runQuiet } from './run.js'
import { SetupError, say } from './say.js'

export const ACCOUNT = 'pgherd'

/** `home` is what the user database says, whether it exists or not. */
/** @typedef {{ name: string, uid: number, gid: number, home: string }} Account */

const USERADD = [
  ...['--system', '--user-group', '--no-create-home', '--home-dir', '/nonexistent'],
  ...['--shell', '/usr/sbin/nologin', ACCOUNT],
]

/**
 * The account that servers run as: ours when we are root (created if missing), otherwise whoever started us.
 * @returns {Promise<Account>}
 */
export async function serverAccount() {
  const uid = process.getuid?.() ?? 0
  if (uid !== 0) {
    const { USER: name = String(uid), HOME: home = '/' } = process.env
    return { name, uid, gid: process.getgid?.() ?? uid, home }
  }
  const known = await lookUp(ACCOUNT)
  if (known !== undefined) return known
  say(`creating the system user ${ACCOUNT}: PostgreSQL does not run as root`)
  const made = await runQuiet('/usr/sbin/useradd', USERADD)
  const account = await lookUp(ACCOUNT)
  if (account === undefined)
    throw new SetupError(`the user ${ACCOUNT} could not be created: ${made.stderr.trim()}`)
  return account
}

/**
 * The command that would create the account; undefined when it is there or not needed.
 * @returns {Promise<string | undefined>}
 */
export async function accountCommand() {
  if (process.getuid?.() !== 0 || (await lookUp(ACCOUNT)) !== undefined) return undefined
  return `useradd ${USERADD.join(' ')}`
}

/**
 * @param {string} name
 * @returns {Promise<Account | undefined>}
 */
async function lookUp(name) {
  const { code, stdout } = await runQuiet('getent', ['passwd', name])
  if (code !== 0) return undefined
  const [, , uid, gid, , home = '/'] = stdout.trim().split(':')
  return { name, uid: Number(uid), gid: Number(gid), home }
}
