// The check before the agent begins its work: mistakes of configuration are told at once, in one line each.

import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Deadline } from '../platform/deadline.ts'
import { UserError } from '../platform/errors.ts'
import { withConnection } from './connection.ts'
import type { Context } from './context.ts'
import type { Lifecycle } from './lifecycle.ts'
import { connectionTrouble, directoryMistake, isConnectionMistake } from './mistakes.ts'
import { occupiedAddress } from './port-check.ts'

/**
 * Programs there, data directory usable and of their version, a running server's password right, a stopped one's port
 * free. Returns the major version. Storage that does not answer and a server that is merely starting are no mistakes.
 */
export async function verify(context: Context, lifecycle: Lifecycle, by: Deadline): Promise<number> {
  const look = await context.data.look(by)
  const binaries = await context.binaries(by, look?.majorVersion)
  const mistake =
    look === undefined ? undefined : directoryMistake(look, context.config, binaries.majorVersion)
  if (mistake !== undefined) throw new UserError(mistake)
  await verifyPassfile(context.passfile)
  const { process } = await lifecycle.look(by)
  if (process === 'running') await verifyLogin(context, by)
  else if (process === 'stopped') await verifyPort(context)
  return binaries.majorVersion
}

async function verifyPassfile(path: string): Promise<void> {
  try {
    await access(dirname(path), constants.W_OK)
  } catch {
    throw new UserError(
      `the directory ${dirname(path)} for the password file cannot be written: set postgresql.pgpass to a path that this user may write`,
    )
  }
}

/** With our own server down, nobody may be on its port. */
async function verifyPort({ config }: Context): Promise<void> {
  const { listenAddresses, port } = config.postgres
  const address = await occupiedAddress(listenAddresses, port)
  if (address === undefined) return
  throw new UserError(
    `another program listens on PostgreSQL's port ${port} at ${address}: stop it, or correct postgresql.listen in ${config.file}`,
  )
}

async function verifyLogin(context: Context, by: Deadline): Promise<void> {
  const target = context.local()
  try {
    await withConnection(target, by, connection => connection.query('SELECT 1', by))
  } catch (error) {
    if (!isConnectionMistake(error)) return
    throw new UserError(connectionTrouble(error, target, 'superuser', context.config.file), 1)
  }
}
