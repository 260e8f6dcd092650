// The unprivileged account that runs servers and agents when the scripts are started by root. PostgreSQL and the agent
// refuse root, and nothing that a test starts needs root's rights.

import { runQuiet } from './run.js'
import { SetupError, say } from './say.js'

export const ACCOUNT = 'pgherd'

/** @typedef {{ name: string, uid: number, gid: number }} Account */

/**
 * The account that servers run as: ours when we are root (created if missing), otherwise whoever started us.
 * @returns {Promise<Account>}
 */
export async function serverAccount() {
  const uid = process.getuid?.() ?? 0
  if (uid !== 0) return { name: process.env['USER'] ?? String(uid), uid, gid: process.getgid?.() ?? uid }
  const known = await lookUp(ACCOUNT)
  if (known !== undefined) return known
  say(`creating the system user ${ACCOUNT}: PostgreSQL does not run as root`)
  const made = await runQuiet('/usr/sbin/useradd', [
    ...['--system', '--user-group', '--no-create-home', '--home-dir', '/nonexistent'],
    ...['--shell', '/usr/sbin/nologin', ACCOUNT],
  ])
  const account = await lookUp(ACCOUNT)
  if (account === undefined)
    throw new SetupError(`the user ${ACCOUNT} could not be created: ${made.stderr.trim()}`)
  return account
}

/**
 * @param {string} name
 * @returns {Promise<Account | undefined>}
 */
async function lookUp(name) {
  const [uid, gid] = await Promise.all([runQuiet('id', ['-u', name]), runQuiet('id', ['-g', name])])
  if (uid.code !== 0 || gid.code !== 0) return undefined
  return { name, uid: Number(uid.stdout), gid: Number(gid.stdout) }
}
