// Who the servers of the local cluster run as. Never root: PostgreSQL and the agent refuse it.

import { readFile } from 'node:fs/promises'
import { UserError } from '../platform/errors.ts'

/** A user of the machine, by number. */
export interface Account {
  readonly uid: number
  readonly gid: number
  /** Capabilities that its programs get all the same, as a service manager gives them: `net_admin`. Only root can. */
  readonly capabilities?: readonly string[]
}

/** Users that servers may run as when we are root and nobody was named; the first is made by the set-up scripts. */
const CANDIDATES = ['pgherd', 'postgres'] as const

/**
 * The account for servers: `PGHERD_ACCOUNT` (`uid:gid`) if set, ourselves when we are not root, otherwise the first of the
 * users pgherd and postgres that exists. UserError when there is none.
 */
export async function serverAccount(env: NodeJS.ProcessEnv = process.env): Promise<Account> {
  const named = /^(\d+):(\d+)$/.exec(env['PGHERD_ACCOUNT'] ?? '')
  if (named !== null) return { uid: Number(named[1]), gid: Number(named[2]) }
  const uid = process.getuid?.() ?? 0
  if (uid !== 0) return { uid, gid: process.getgid?.() ?? uid }
  const users = await readFile('/etc/passwd', 'utf8')
  for (const name of CANDIDATES) {
    const line = new RegExp(`^${name}:[^:]*:(\\d+):(\\d+):`, 'm').exec(users)
    if (line !== null) return { uid: Number(line[1]), gid: Number(line[2]) }
  }
  throw new UserError(
    'started as root, and there is no user pgherd or postgres to run servers as; npm run demo makes one',
  )
}

/**
 * Command words that run a program as this account, without any right of ours: supplementary groups and capabilities are
 * dropped (in a user namespace a program would otherwise keep ours and see no closed file). It gets SIGTERM when we die.
 */
export function asAccount(account: Account): readonly string[] {
  const change =
    process.getuid?.() === 0 ? [`--reuid=${account.uid}`, `--regid=${account.gid}`, '--clear-groups'] : []
  const set = ['-all', ...(account.capabilities ?? []).map(name => `+${name}`)].join(',')
  return ['setpriv', ...change, `--inh-caps=${set}`, `--ambient-caps=${set}`, '--pdeathsig', 'TERM', '--']
}
