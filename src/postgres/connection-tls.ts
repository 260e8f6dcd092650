// How our own connections are encrypted, by the words that libpq knows: what is trusted, what is shown, what is insisted on.

import type { EventEmitter } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import type { ConnectionOptions } from 'node:tls'
import type { Deadline } from '../platform/deadline.ts'
import { OneByOne } from '../platform/one-by-one.ts'
import type { Door } from './ping.ts'

export type TlsMode = 'plain' | 'tls'
type Words = Readonly<Record<string, string>>

/** Certificates may lie on storage that hangs. */
const tlsFiles = new OneByOne()
/** As OpenSSL names lists of revoked certificates in a directory: a hash of the issuer, and a number. */
const REVOCATION_LIST = /^[0-9a-f]{8}\.r\d+$/
const BOUND = 'SCRAM-SHA-256-PLUS'
const UNBOUND = 'channel_binding=require, but the server authenticates without it'
/** As Node and OpenSSL name certificates that are not trusted, or that do not fit. */
const CERTIFICATE_CODE =
  /^(ERR_TLS_CERT_|CERT_|CRL_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH_)/
const FILE_OR_SERVER = /^(ENOENT|EACCES): .*, open |server does not support SSL connections/

/** In which order a server is tried, by `sslmode`. */
export function tlsModes(door: Door, words: Words): readonly TlsMode[] {
  if ('path' in door) return ['plain']
  if (words['channel_binding'] === 'require') return ['tls']
  switch (words['sslmode'] ?? 'prefer') {
    case 'disable':
      return ['plain']
    case 'require':
    case 'verify-ca':
    case 'verify-full':
      return ['tls']
    case 'allow':
      return ['plain', 'tls']
    default:
      // On our own machine there is nobody to hide from, and a look each second should be cheap.
      return door.host.startsWith('127.') ? ['plain', 'tls'] : ['tls', 'plain']
  }
}

/** What is beside the certificates. */
export function tlsWay(words: Words, mode: TlsMode): Readonly<Record<string, unknown>> {
  if (mode === 'plain') return {}
  return {
    ...(words['sslnegotiation'] === 'direct' ? { sslnegotiation: 'direct' } : {}),
    enableChannelBinding: words['channel_binding'] === 'require',
  }
}

/** Certificates, keys and lists of what was revoked. As with libpq, `require` with an authority asks it. */
export async function tlsOptions(words: Words, by: Deadline): Promise<ConnectionOptions> {
  const mode = words['sslmode'] ?? 'prefer'
  const file = async (name: string) => {
    const path = words[name]
    return path === undefined ? undefined : await tlsFiles.run(`reading ${path}`, by, () => readFile(path))
  }
  const [ca, cert, key, list] = await Promise.all(['sslrootcert', 'sslcert', 'sslkey', 'sslcrl'].map(file))
  const lists = [...(list === undefined ? [] : [list]), ...(await listsIn(words['sslcrldir'], by))]
  const isVerified =
    mode === 'verify-ca' || mode === 'verify-full' || (mode === 'require' && ca !== undefined)
  return {
    rejectUnauthorized: isVerified,
    ...(mode === 'verify-full' ? {} : { checkServerIdentity: () => undefined }),
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    // Only with an authority of whom the lists are: libpq leaves them unread otherwise.
    ...(ca === undefined || lists.length === 0 ? {} : { crl: lists }),
    ...(words['sslpassword'] === undefined ? {} : { passphrase: words['sslpassword'] }),
  }
}

async function listsIn(directory: string | undefined, by: Deadline): Promise<readonly Buffer[]> {
  if (directory === undefined) return []
  return await tlsFiles.run(`reading ${directory}`, by, async () => {
    const names = (await readdir(directory)).filter(name => REVOCATION_LIST.test(name))
    return await Promise.all(names.map(name => readFile(join(directory, name))))
  })
}

/**
 * `channel_binding=require`: ends the connection unless the server's proof is bound to this very TLS session. Returns what tells
 * whether it did: a server that asks for no proof may be ready before the socket is gone.
 */
export function refuseUnbound(client: object, socket: Socket): () => Error | undefined {
  const { connection } = client as { readonly connection: EventEmitter }
  let isBound = false
  let refusal: Error | undefined
  const refuse = () => {
    refusal ??= new Error(UNBOUND)
    socket.destroy(refusal)
  }
  // Before the client's own listeners: no password leaves.
  connection.on('authenticationSASL', ({ mechanisms }: { readonly mechanisms: readonly string[] }) => {
    isBound = mechanisms.includes(BOUND)
    if (!isBound) refuse()
  })
  connection.on('authenticationCleartextPassword', refuse)
  connection.on('authenticationMD5Password', refuse)
  connection.on('authenticationOk', () => {
    if (!isBound) refuse()
  })
  return () => refusal
}

/** Does TLS fail for a reason that somebody must mend: a certificate, a file of ours, a server without it? */
export function isTlsMistake(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  return error.message === UNBOUND || CERTIFICATE_CODE.test(code) || FILE_OR_SERVER.test(error.message)
}
