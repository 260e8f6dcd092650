// The roles that a cluster needs besides its superuser. Passwords leave only as verifiers.

import pg from 'pg'
import type { Credentials } from '../config/agent/types.ts'
import type { Deadline } from '../platform/deadline.ts'
import { PATIENT_SESSION, type Target, withConnection } from './connection.ts'
import type { Context } from './context.ts'
import { md5Verifier, scramVerifier } from './password.ts'

/** What pg_rewind may call as an ordinary role. */
const REWIND_FUNCTIONS = [
  'pg_ls_dir(text, boolean, boolean)',
  'pg_stat_file(text, boolean)',
  'pg_read_binary_file(text)',
  'pg_read_binary_file(text, bigint, bigint, boolean)',
]

/**
 * Creates or corrects the replication and the rewind role on our own primary. Waits for no standby. `restored`: where a server
 * is reached whose superuser has another password than ours; it gets ours too.
 */
export async function createRoles(context: Context, by: Deadline, restored?: Target): Promise<void> {
  const { superuser, replication, rewind } = context.config.postgres
  await withConnection(restored ?? context.local(PATIENT_SESSION), by, async connection => {
    const query = (sql: string) => connection.query(sql, by)
    const encryption =
      (await query('SHOW password_encryption'))[0]?.['password_encryption'] ?? 'scram-sha-256'
    const rolesNow = (await query('SELECT rolname FROM pg_roles')).map(row => row['rolname'])
    const create = async (who: Credentials, attributes: string) => {
      const verb = rolesNow.includes(who.username) ? 'ALTER' : 'CREATE'
      const password = await passwordClause(who, encryption)
      await query(`${verb} ROLE ${pg.escapeIdentifier(who.username)} WITH LOGIN ${attributes}${password}`)
    }
    if (restored !== undefined) await create(superuser, 'SUPERUSER')
    if (replication.username !== superuser.username) await create(replication, 'REPLICATION')
    if (rewind.username === superuser.username) return
    if (rewind.username !== replication.username) await create(rewind, '')
    for (const name of REWIND_FUNCTIONS) {
      await query(`GRANT EXECUTE ON FUNCTION pg_catalog.${name} TO ${pg.escapeIdentifier(rewind.username)}`)
    }
  })
}

async function passwordClause(who: Credentials, encryption: string): Promise<string> {
  if (who.password === undefined) return ''
  const verifier =
    encryption === 'md5' ? md5Verifier(who.password, who.username) : await scramVerifier(who.password)
  return ` PASSWORD ${pg.escapeLiteral(verifier)}`
}
