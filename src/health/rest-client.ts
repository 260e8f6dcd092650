// How a REST server of a member is called: certificates, the account, what is trusted. Read from files once for each load of
// the configuration.

import { readFile } from 'node:fs/promises'
import { messageOf, UserError } from '../platform/errors.ts'

/** The settings: an account, and paths of PEM files. */
export interface RestCallSettings {
  readonly authentication: { readonly username: string; readonly password: string } | undefined
  /** Do not verify certificates. */
  readonly insecure: boolean
  readonly cacert: string | undefined
  readonly certfile: string | undefined
  readonly keyfile: string | undefined
  readonly keyfilePassword: string | undefined
}

/** What is shown to a server and trusted of it; contents of PEM files. */
export interface ConnectTls {
  readonly rejectUnauthorized?: boolean
  readonly ca?: Buffer
  readonly cert?: Buffer
  readonly key?: Buffer
  readonly passphrase?: string
}

/** Ready to be used for connections. */
export interface RestCredentials {
  readonly connect: ConnectTls
  /** Value of the Authorization header. */
  readonly authorization: string | undefined
}

export const noCredentials: RestCredentials = { connect: {}, authorization: undefined }

/** Reads the certificates. Throws UserError naming the setting whose file cannot be read. */
export async function readRestCredentials(config: RestCallSettings): Promise<RestCredentials> {
  const { insecure, authentication } = config
  const [ca, cert, key] = await Promise.all([
    readPem('ctl.cacert', config.cacert),
    readPem('ctl.certfile', config.certfile),
    readPem('ctl.keyfile', config.keyfile ?? config.certfile),
  ])
  return {
    connect: {
      rejectUnauthorized: !insecure,
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      ...(config.keyfilePassword === undefined ? {} : { passphrase: config.keyfilePassword }),
    },
    authorization: authentication === undefined ? undefined : basic(authentication),
  }
}

async function readPem(setting: string, path: string | undefined): Promise<Buffer | undefined> {
  if (path === undefined) return undefined
  return readFile(path).catch((error: unknown) => {
    throw new UserError(`${setting}: cannot read ${path}: ${messageOf(error)}`)
  })
}

function basic({ username, password }: { readonly username: string; readonly password: string }): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}
