// Certificates and keys that checks are made with, as they are in their files now: they are renewed while a proxy runs.

import { readFile } from 'node:fs/promises'
import { createSecureContext } from 'node:tls'
import type { Clock, Timer } from '../platform/clock.ts'
import { messageOf, UserError } from '../platform/errors.ts'
import type { Logger } from '../platform/log.ts'

/** Files that are used together. Certificate and key may be one file. */
export interface PemPaths {
  readonly caFile: string | undefined
  readonly certFile: string | undefined
  readonly keyFile: string | undefined
}

/** Their contents. Another object whenever one of them changed. */
export interface PemContents {
  readonly ca: Buffer | undefined
  readonly cert: Buffer | undefined
  readonly key: Buffer | undefined
}

export interface PemOptions {
  readonly clock: Clock
  readonly log: Logger
  readonly lookEveryMs?: number
}

/** Both sides of a connection may be renewed at one moment: no check should fail for much longer than that. */
const LOOK_EVERY_MS = 2_000

interface Kept {
  readonly paths: PemPaths
  contents: PemContents
  /** The last complaint about them, so that each is told once. */
  complaint: string
}

const nothing: PemContents = { ca: undefined, cert: undefined, key: undefined }

/** Files of any number of checks, looked at on a timer, one after the other and never two looks at a time. */
export class PemFiles {
  readonly #options: PemOptions
  readonly #sets = new Map<string, Kept>()
  #timer: Timer | undefined
  #isStopped = false

  private constructor(options: PemOptions) {
    this.#options = options
  }

  /** Reads them all. Throws UserError naming `source` and the file that cannot be read or does not fit its key. */
  static async open(source: string, sets: Iterable<PemPaths>, options: PemOptions): Promise<PemFiles> {
    const files = new PemFiles(options)
    for (const paths of sets) {
      if (!isAny(paths) || files.#sets.has(keyOf(paths))) continue
      const contents = await readSet(paths).catch((error: unknown) => {
        throw new UserError(`${source}: ${messageOf(error)}`)
      })
      files.#sets.set(keyOf(paths), { paths, contents, complaint: '' })
    }
    return files
  }

  /** What is to be used for the next connection. */
  contentsOf(paths: PemPaths): PemContents {
    return this.#sets.get(keyOf(paths))?.contents ?? nothing
  }

  /** Begins to look for renewed files. */
  watch(): void {
    if (this.#sets.size > 0) this.#arm()
  }

  stop(): void {
    this.#isStopped = true
    this.#timer?.cancel()
  }

  #arm(): void {
    const { clock, lookEveryMs = LOOK_EVERY_MS } = this.#options
    this.#timer = clock.setTimer(lookEveryMs, () => {
      // `#look` never rejects. A disk that hangs ends the looking, and what was read before stays in use.
      void this.#look().then(() => {
        if (!this.#isStopped) this.#arm()
      })
    })
  }

  async #look(): Promise<void> {
    for (const kept of this.#sets.values()) await this.#lookAt(kept)
  }

  /** A pair that is just being renewed does not fit for a moment: the old one stays until it does. */
  async #lookAt(kept: Kept): Promise<void> {
    const { log } = this.#options
    try {
      const found = await readSet(kept.paths)
      kept.complaint = ''
      if (isSame(found, kept.contents)) return
      kept.contents = found
      log.info(`checks: ${names(kept.paths)} changed and count from now on`, { event: 'certificates' })
    } catch (error) {
      const complaint = messageOf(error)
      if (complaint === kept.complaint) return
      kept.complaint = complaint
      log.warning(`checks: ${complaint}; what was read before stays in use`, { event: 'certificates' })
    }
  }
}

/** Rejects with the file that cannot be read, or when certificate and key are none or do not fit each other. */
async function readSet(paths: PemPaths): Promise<PemContents> {
  const { caFile, certFile, keyFile } = paths
  // One after the other: a hung disk may have one of the process's few threads, not all of them.
  const ca = await readPem(caFile)
  const cert = await readPem(certFile)
  const key = keyFile === certFile ? cert : await readPem(keyFile)
  const contents = { ca, cert, key }
  try {
    createSecureContext(given(contents))
  } catch (error) {
    throw new Error(`${names(paths)} cannot be used: ${messageOf(error)}`)
  }
  return contents
}

function readPem(path: string | undefined): Promise<Buffer | undefined> {
  if (path === undefined) return Promise.resolve(undefined)
  return readFile(path).catch((error: unknown) => {
    throw new Error(`cannot read ${path}: ${messageOf(error)}`)
  })
}

/** Without what is undefined, as options of TLS want it. */
export function given({ ca, cert, key }: PemContents): {
  readonly ca?: Buffer
  readonly cert?: Buffer
  readonly key?: Buffer
} {
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  }
}

function isSame(a: PemContents, b: PemContents): boolean {
  return (['ca', 'cert', 'key'] as const).every(part => {
    const [mine, theirs] = [a[part], b[part]]
    return mine === undefined || theirs === undefined ? mine === theirs : mine.equals(theirs)
  })
}

function isAny({ caFile, certFile, keyFile }: PemPaths): boolean {
  return caFile !== undefined || certFile !== undefined || keyFile !== undefined
}

function keyOf({ caFile, certFile, keyFile }: PemPaths): string {
  return JSON.stringify([caFile, certFile, keyFile])
}

function names({ caFile, certFile, keyFile }: PemPaths): string {
  return [...new Set([caFile, certFile, keyFile].filter(file => file !== undefined))].join(', ')
}
