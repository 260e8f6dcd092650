// Password verifiers, computed here: the server never sees the password itself, so no log and no statistics view can
// keep it.

import { createHash, createHmac, pbkdf2, randomBytes } from 'node:crypto'
import { promisify } from 'node:util'

const SALT_BYTES = 16
const KEY_BYTES = 32
const ITERATIONS = 4096

/** The SCRAM-SHA-256 verifier as PostgreSQL stores it. The salt is random unless it is given. */
export async function scramVerifier(
  password: string,
  salt: Buffer = randomBytes(SALT_BYTES),
): Promise<string> {
  const normalized = password.normalize('NFKC')
  const salted = await promisify(pbkdf2)(normalized, salt, ITERATIONS, KEY_BYTES, 'sha256')
  const hmac = (text: string) => createHmac('sha256', salted).update(text).digest()
  const storedKey = createHash('sha256').update(hmac('Client Key')).digest('base64')
  const serverKey = hmac('Server Key').toString('base64')
  return `SCRAM-SHA-256$${ITERATIONS}:${salt.toString('base64')}$${storedKey}:${serverKey}`
}

/** The old md5 verifier, for servers whose password_encryption says so. */
export function md5Verifier(password: string, username: string): string {
  return `md5${createHash('md5').update(password).update(username).digest('hex')}`
}
