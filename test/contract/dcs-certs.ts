// Certificates for an etcd of a test: one authority, and what it signs. All made by openssl in a folder of the test.

import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { runChild } from '../../src/platform/child.ts'
import { by } from './dcs-rig.ts'

/** A certificate and its key, as file names. */
export interface Pair {
  readonly cert: string
  readonly key: string
}

export class Authority {
  readonly ca: string
  readonly #folder: string
  readonly #key: string
  #serial = 1

  private constructor(folder: string, name: string) {
    this.#folder = folder
    this.ca = path.join(folder, `${name}.pem`)
    this.#key = path.join(folder, `${name}.key`)
  }

  static async create(folder: string, name: string): Promise<Authority> {
    await mkdir(folder, { recursive: true })
    const authority = new Authority(folder, name)
    const subject = ['-subj', `/CN=${name}`, '-days', '2']
    await openssl('req', '-x509', ...newKey(authority.#key), '-out', authority.ca, ...subject)
    return authority
  }

  /** Signs a certificate for this name. `names` are its alternative names, as `IP:10.0.0.1` or `DNS:etcd1`. */
  async sign(commonName: string, names: readonly string[] = []): Promise<Pair> {
    this.#serial += 1
    const base = path.join(this.#folder, `${commonName}-${this.#serial}`)
    const pair = { cert: `${base}.pem`, key: `${base}.key` }
    const extensions = `${base}.ext`
    await writeFile(extensions, names.length === 0 ? '' : `subjectAltName=${names.join(',')}\n`)
    await openssl('req', ...newKey(pair.key), '-out', `${base}.csr`, '-subj', `/CN=${commonName}`)
    const by = ['-CA', this.ca, '-CAkey', this.#key, '-set_serial', String(this.#serial), '-days', '2']
    await openssl('x509', '-req', '-in', `${base}.csr`, ...by, '-out', pair.cert, '-extfile', extensions)
    await chmod(pair.key, 0o644)
    return pair
  }
}

/** The contents, as the client takes them. */
export async function contents(ca: string, pair?: Pair) {
  const authority = { ca: await readFile(ca) }
  if (pair === undefined) return authority
  return { ...authority, cert: await readFile(pair.cert), key: await readFile(pair.key) }
}

function newKey(file: string): readonly string[] {
  return ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', file]
}

async function openssl(...args: readonly string[]): Promise<void> {
  const result = await runChild('openssl', args, { by: by(10_000) })
  if (result.code !== 0) throw new Error(`openssl ${args.join(' ')}: ${result.stderr}`)
}
