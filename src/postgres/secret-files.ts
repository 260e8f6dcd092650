// The files that carry secrets to the programs that use libpq. Nothing secret stands anywhere else: a command line, a
// configuration file that a reload tells of in the log, and an environment can be read by others.

import { open, rename, rm } from 'node:fs/promises'
import type { Deadline } from '../platform/deadline.ts'
import { OneByOne } from '../platform/one-by-one.ts'

/** The one secret that libpq takes neither from a password file nor from a variable. */
const SECRET = 'sslpassword'
const SERVICE = 'pgherd'
const OWNER_ONLY = 0o600

/** A home directory often lies on the disk of the data directory, which may hang. */
const files = new OneByOne()

/** The words without the secret, and the text of the service file that has it; undefined when there is none. */
export function splitSecret(words: Readonly<Record<string, string>>): {
  readonly open: Readonly<Record<string, string>>
  readonly serviceFile: string | undefined
} {
  const { [SECRET]: secret, ...open } = words
  if (secret === undefined) return { open, serviceFile: undefined }
  return {
    open: { service: SERVICE, ...open },
    serviceFile: `[${SERVICE}]\n${SECRET}=${secret}\n`,
  }
}

/** Replaces a file that only its owner may read: written beside it, flushed, renamed. */
export function writeSecretFile(path: string, text: string, by: Deadline): Promise<void> {
  return files.run(`writing ${path}`, by, async () => {
    const fresh = `${path}.${process.pid}`
    const file = await open(fresh, 'w', OWNER_ONLY)
    try {
      await file.chmod(OWNER_ONLY)
      await file.writeFile(text)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(fresh, path)
  })
}

/** Removes it; one that is not there does not matter. */
export function removeSecretFile(path: string, by: Deadline): Promise<void> {
  return files.run(`removing ${path}`, by, () => rm(path, { force: true }))
}
