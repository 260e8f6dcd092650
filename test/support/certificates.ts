// A certificate authority of a test's own, with certificates for loopback.

import { chmod, mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { runChild } from '../../src/platform/child.ts'
import { realClock } from '../../src/platform/clock.ts'
import { Deadline } from '../../src/platform/deadline.ts'

export interface Certificates {
  /** The authority's certificate. */
  readonly ca: string
  /** Issues a certificate for `localhost` and an address (default 127.0.0.1); files of the same name are replaced. */
  readonly issue: (name: string, address?: string) => Promise<{ readonly cert: string; readonly key: string }>
  /** A list of what the authority took back: this certificate. */
  readonly revoke: (cert: string) => Promise<string>
}

/** The key with a pass phrase on it, in a file beside. */
export async function withPassPhrase(key: string, phrase: string): Promise<string> {
  const locked = `${key}.locked`
  await openssl(['pkcs8', '-topk8', '-in', key, '-out', locked, '-passout', `pass:${phrase}`])
  await chmod(locked, 0o600)
  return locked
}

/** Makes the authority in `folder`. */
export async function makeCertificates(folder: string): Promise<Certificates> {
  await mkdir(folder, { recursive: true })
  const file = (name: string) => path.join(folder, name)
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const ca = file('ca.pem')
  const authority = ['-subj', '/CN=test authority', '-keyout', file('ca.key'), '-out', ca, '-days', '2']
  await openssl(['req', '-x509', ...key, ...authority])
  return {
    ca,
    issue: async (name, address = '127.0.0.1') => {
      await writeFile(file('extensions'), `subjectAltName=DNS:localhost,IP:${address}\n`)
      const cert = file(`${name}.pem`)
      const request = file(`${name}.csr`)
      await openssl(['req', ...key, '-subj', `/CN=${name}`, '-keyout', file(`${name}.key`), '-out', request])
      const signer = ['-CA', ca, '-CAkey', file('ca.key'), '-CAcreateserial', '-days', '2']
      await openssl(['x509', '-req', '-in', request, ...signer, '-extfile', file('extensions'), '-out', cert])
      return { cert, key: file(`${name}.key`) }
    },
    revoke: async cert => {
      await writeFile(file('index'), '')
      const settings = `[ca]\ndefault_ca=a\n[a]\ndatabase=${file('index')}\ndefault_md=sha256\ndefault_crl_days=2\n`
      await writeFile(file('authority.cnf'), settings)
      const list = file('revoked.pem')
      const by = ['ca', '-config', file('authority.cnf'), '-keyfile', file('ca.key'), '-cert', ca]
      await openssl([...by, '-revoke', cert])
      await openssl([...by, '-gencrl', '-out', list])
      return list
    },
  }
}

async function openssl(words: readonly string[]): Promise<void> {
  const { code, stderr } = await runChild('openssl', words, { by: Deadline.in(realClock, 20_000) })
  if (code !== 0) throw new Error(`openssl ${words[0]}: ${stderr}`)
}
