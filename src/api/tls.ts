// The REST server's certificates, read from their files.

import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createSecureContext, type TlsOptions } from 'node:tls'
import type { RestTlsConfig } from '../config/agent/types.ts'
import { messageOf, UserError } from '../platform/errors.ts'

/** Everything that a server needs; `mark` changes when anything of it did. */
export interface ServerTls {
  readonly options: TlsOptions
  readonly mark: string
}

/** Reads the files and tries them out. Throws UserError that names the setting at fault. */
export async function readServerTls(config: RestTlsConfig): Promise<ServerTls> {
  const { certfile, keyfile, keyfilePassword, cafile, ciphers, verifyClient } = config
  const [cert, key, ca] = await Promise.all([
    readPem('certfile', certfile),
    readPem(keyfile === undefined ? 'certfile' : 'keyfile', keyfile ?? certfile),
    cafile === undefined ? undefined : readPem('cafile', cafile),
  ])
  const options: TlsOptions = {
    cert,
    key,
    ...(keyfilePassword === undefined ? {} : { passphrase: keyfilePassword }),
    ...(ca === undefined ? {} : { ca }),
    ...(ciphers === undefined ? {} : { ciphers }),
    requestCert: verifyClient !== 'none',
    // An optional certificate that is no good counts as none; the access rules ask for one where it matters.
    rejectUnauthorized: verifyClient === 'required',
  }
  try {
    createSecureContext(options)
  } catch (error) {
    throw new UserError(`restapi.certfile, keyfile or cafile: ${messageOf(error)} (${certfile})`)
  }
  const serial = new X509Certificate(cert).serialNumber
  const contents = [cert, key, ca].map(pem => pem?.toString('base64') ?? '').join(' ')
  return { options, mark: [serial, ciphers, verifyClient, contents].join(' ') }
}

function readPem(setting: string, path: string): Promise<Buffer> {
  return readFile(path).catch((error: unknown) => {
    throw new UserError(`restapi.${setting}: cannot read ${path}: ${messageOf(error)}`)
  })
}
