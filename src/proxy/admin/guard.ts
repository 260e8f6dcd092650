// Who may read the status port: sources that the rules let in, and who knows a name and its password.

import { createHash, timingSafeEqual } from 'node:crypto'
import { isAcceptedByAll } from '../../config/proxy/access.ts'
import type { AdminGuard } from '../../config/proxy/types.ts'

export class Guard {
  readonly #guard: AdminGuard | undefined
  readonly #digests: readonly Buffer[]

  constructor(guard: AdminGuard | undefined) {
    this.#guard = guard
    this.#digests = (guard?.users ?? []).map(digest)
  }

  /** May a client from this address connect? */
  admits(source: string | undefined): boolean {
    return isAcceptedByAll(source, this.#guard?.rules ?? [])
  }

  /** Does a request's `authorization` name one of the users? Takes as long for a wrong password as for a right one. */
  knows(authorization: string | undefined): boolean {
    if (this.#digests.length === 0) return true
    const [, encoded = ''] = /^basic +(\S+)$/i.exec(authorization ?? '') ?? []
    const given = digest(Buffer.from(encoded, 'base64').toString('utf8'))
    return this.#digests.filter(one => timingSafeEqual(one, given)).length > 0
  }

  /** What a client is asked with. */
  get challenge(): string {
    return `Basic realm="${(this.#guard?.realm ?? '').replaceAll(/["\\]/g, '')}"`
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
