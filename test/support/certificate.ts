// A self-signed certificate for servers of a test; its key belongs to the account that servers run as.

import { chmod, chown } from 'node:fs/promises'
import path from 'node:path'
import { serverAccount } from '../../src/demo/account.ts'
import { runChild } from '../../src/platform/child.ts'
import { realClock } from '../../src/platform/clock.ts'
import { Deadline } from '../../src/platform/deadline.ts'

const WITHIN_MS = 30_000

/** Server parameters that switch TLS on with a new certificate in `directory`. */
export async function tlsParameters(directory: string): Promise<Readonly<Record<string, string>>> {
  const files = { key: path.join(directory, 'server.key'), cert: path.join(directory, 'server.crt') }
  // An elliptic key: its handshake costs a busy machine a tenth of an RSA one.
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1']
  const words = ['req', '-x509', ...newKey, '-nodes', '-subj', '/CN=pgherd-test']
  const made = await runChild('openssl', [...words, '-keyout', files.key, '-out', files.cert], {
    by: Deadline.in(realClock, WITHIN_MS),
  })
  if (made.code !== 0) throw new Error(`openssl: ${made.stderr}`)
  const { uid, gid } = await serverAccount()
  for (const file of [files.key, files.cert]) await chown(file, uid, gid)
  await chmod(files.key, 0o600)
  return { ssl: 'on', ssl_cert_file: files.cert, ssl_key_file: files.key }
}
