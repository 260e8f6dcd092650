// Sentences for the operator: what is wrong with the server's surroundings, where, and what to do about it.

import { messageOf } from '../platform/errors.ts'
import { sqlStateOf, type Target } from './connection.ts'
import type { ServerConfig } from './context.ts'
import type { DirectoryLook } from './data-directory.ts'

/** What is wrong with the data directory; undefined when it can be used as it is. */
export function directoryMistake(
  look: DirectoryLook,
  config: ServerConfig,
  toolMajor: number,
): string | undefined {
  const { dataDir } = config.postgres
  const where = `postgresql.data_dir in ${config.file}`
  if (look.state === 'unreadable') {
    return `the data directory ${dataDir} cannot be read by this user: give it to the user who runs PostgreSQL (chown, mode 0700), mount its storage if that is lost, or correct ${where}`
  }
  if (look.state === 'foreign') {
    return `the data directory ${dataDir} holds files but no PostgreSQL cluster: empty it, or correct ${where}`
  }
  const { majorVersion } = look
  if (look.state !== 'initialized' || majorVersion === undefined || majorVersion === toolMajor)
    return undefined
  return `the data directory ${dataDir} belongs to PostgreSQL ${majorVersion}, but the programs are version ${toolMajor}: install PostgreSQL ${majorVersion}, or correct postgresql.bin_dir in ${config.file}`
}

/** Is this error the operator's to correct (password, role, access rule, database), not the server's state? */
export function isConnectionMistake(error: unknown): boolean {
  return ['28P01', '28000', '3D000'].includes(sqlStateOf(error) ?? '') || isPasswordMissing(error)
}

/** Why a connection failed, with the cure where we know one. `section` is the place of its user in the file. */
export function connectionTrouble(error: unknown, target: Target, section: string, file: string): string {
  const { door, who } = target
  const server = 'path' in door ? `PostgreSQL at ${door.path}` : `PostgreSQL at ${door.host}:${door.port}`
  const user = `user "${who.username}"`
  const password = `correct postgresql.authentication.${section}.password in ${file}`
  if (isPasswordMissing(error)) return `${server} asks ${user} for a password: ${password}`
  switch (sqlStateOf(error)) {
    case '28P01':
      return `${server} refused the password of ${user}: ${password}, or change the role's password on the leader`
    case '28000':
      return `${server} does not let ${user} in (${messageOf(error)}): add a line for it to postgresql.pg_hba, or correct postgresql.authentication.${section}`
    case '3D000':
      return `${server} has no database "${target.database}": create it, or correct postgresql.database in ${file}`
    default:
      return `${server} does not answer: ${messageOf(error)}`
  }
}

/** Our own client's word for a password that is asked for and not configured. */
function isPasswordMissing(error: unknown): boolean {
  return error instanceof Error && /client password must be/.test(error.message)
}
