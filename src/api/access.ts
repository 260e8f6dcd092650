// Who may change something: HTTP basic authentication, compared in constant time.

import { createHash, timingSafeEqual } from 'node:crypto'
import { type Answer, text } from './answer.ts'

export interface Account {
  readonly username: string
  readonly password: string
}

const REALM = { 'WWW-Authenticate': 'Basic realm="Patroni"' }

/** Undefined when the call may go on, else the 401 to send. Without an account everybody may. */
export function refuseAccess(account: Account | undefined, header: string | undefined): Answer | undefined {
  if (account === undefined) return undefined
  if (header === undefined) return text(401, 'no auth header received', REALM)
  const given = /^Basic\s+([A-Za-z0-9+/=]+)\s*$/i.exec(header)?.[1] ?? ''
  const expected = `${account.username}:${account.password}`
  return isSame(Buffer.from(given, 'base64'), Buffer.from(expected))
    ? undefined
    : text(401, 'not authenticated', REALM)
}

/** The user that a request names, for the audit line; never its password. */
export function userOf(header: string | undefined): string | undefined {
  const given = /^Basic\s+([A-Za-z0-9+/=]+)\s*$/i.exec(header ?? '')?.[1]
  return given === undefined ? undefined : Buffer.from(given, 'base64').toString('utf8').split(':', 1)[0]
}

/** Digests have one length, so that neither the length nor the first difference shows in the time taken. */
function isSame(given: Buffer, expected: Buffer): boolean {
  const digest = (value: Buffer) => createHash('sha256').update(value).digest()
  return timingSafeEqual(digest(given), digest(expected))
}
