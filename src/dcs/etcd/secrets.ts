// What we show to etcd: certificates and a password. They may change while we run, because certificates are renewed and
// passwords rotated; whoever opens connections hears of it.

import { createSecureContext } from 'node:tls'
import type { Clock, Timer } from '../../platform/clock.ts'
import { messageOf } from '../../platform/errors.ts'
import type { Logger } from '../../platform/log.ts'

/** TLS towards etcd: contents, not file names. Without a CA, those that Node trusts. */
export interface EtcdTls {
  readonly ca?: Buffer
  readonly cert?: Buffer
  readonly key?: Buffer
}

export interface EtcdSecrets {
  readonly tls: EtcdTls | undefined
  readonly auth: { readonly username: string; readonly password: string } | undefined
}

export interface SecretSource {
  current(): EtcdSecrets
  /** Calls `listener` after each change, told what changed; returns the way to stop it. */
  onChange(listener: (changed: { readonly tls: boolean; readonly auth: boolean }) => void): () => void
  /** Something was refused: what is stored may be newer than what we hold. Looked at soon, never waited for. */
  suspect(): void
  close(): void
}

/** Secrets that never change. */
export function fixedSecrets(secrets: EtcdSecrets): SecretSource {
  return { current: () => secrets, onChange: () => () => {}, suspect: () => {}, close: () => {} }
}

/** How often the files are looked at: certificates are renewed days before they end. */
const LOOK_EVERY_MS = 10_000
/** After a refusal, but not more often than this. */
const SUSPECT_PAUSE_MS = 2_000

export interface FileSecretsParts {
  readonly clock: Clock
  readonly logger: Logger
  readonly first: EtcdSecrets
  /** Reads everything anew; may reject, then what we have stays in force. */
  readonly read: () => Promise<EtcdSecrets>
  readonly lookEveryMs?: number
}

type Listener = Parameters<SecretSource['onChange']>[0]

/** Secrets that live in files, looked at on a timer and after a refusal. One look at a time. */
export class FileSecrets implements SecretSource {
  readonly #parts: FileSecretsParts
  readonly #listeners = new Set<Listener>()
  #current: EtcdSecrets
  #timer: Timer | undefined
  #isLooking = false
  #isClosed = false
  #lookedAtMs: number
  #complaint = ''

  constructor(parts: FileSecretsParts) {
    this.#parts = parts
    this.#current = parts.first
    this.#lookedAtMs = parts.clock.monotonicMs()
  }

  current(): EtcdSecrets {
    return this.#current
  }

  onChange(listener: Listener): () => void {
    this.#listeners.add(listener)
    this.#arm()
    return () => {
      this.#listeners.delete(listener)
      if (this.#listeners.size === 0) this.#timer?.cancel()
    }
  }

  suspect(): void {
    if (this.#parts.clock.monotonicMs() - this.#lookedAtMs >= SUSPECT_PAUSE_MS) void this.#look()
  }

  close(): void {
    this.#isClosed = true
    this.#timer?.cancel()
  }

  #arm(): void {
    // Nobody is told: then no timer keeps a program alive that has not come to open a store.
    if (this.#isClosed || this.#listeners.size === 0) return
    this.#timer?.cancel()
    this.#timer = this.#parts.clock.setTimer(this.#parts.lookEveryMs ?? LOOK_EVERY_MS, () => {
      void this.#look()
    })
  }

  async #look(): Promise<void> {
    if (this.#isLooking || this.#isClosed) return
    this.#isLooking = true
    this.#lookedAtMs = this.#parts.clock.monotonicMs()
    try {
      const found = await this.#parts.read()
      const changed = { tls: !sameTls(found.tls, this.#current.tls), auth: !sameAuth(found, this.#current) }
      // A pair that is being renewed does not fit for a moment: the old one stays until it does.
      if (changed.tls) checkTls(found.tls)
      this.#complaint = ''
      if (!this.#isClosed && (changed.tls || changed.auth)) this.#take(found, changed)
    } catch (error) {
      this.#complain(messageOf(error))
    } finally {
      this.#isLooking = false
      this.#arm()
    }
  }

  #take(found: EtcdSecrets, changed: { readonly tls: boolean; readonly auth: boolean }): void {
    this.#current = found
    const what = [changed.tls ? 'certificates' : '', changed.auth ? 'user or password' : '']
    this.#parts.logger.info(`etcd: new ${what.filter(Boolean).join(' and ')} are in use from now on`, {
      event: 'dcs-secrets-changed',
    })
    for (const listener of [...this.#listeners]) listener(changed)
  }

  #complain(why: string): void {
    if (why === this.#complaint) return
    this.#complaint = why
    this.#parts.logger.warning(`etcd: what was read before stays in force: ${why}`, {
      event: 'dcs-secrets-unusable',
    })
  }
}

/** Throws when certificate and key do not fit each other or are none. */
export function checkTls(tls: EtcdTls | undefined): void {
  if (tls !== undefined) createSecureContext(tls)
}

function sameTls(a: EtcdTls | undefined, b: EtcdTls | undefined): boolean {
  return (['ca', 'cert', 'key'] as const).every(part => {
    const [mine, theirs] = [a?.[part], b?.[part]]
    return mine === undefined || theirs === undefined ? mine === theirs : mine.equals(theirs)
  })
}

function sameAuth({ auth: a }: EtcdSecrets, { auth: b }: EtcdSecrets): boolean {
  return a?.username === b?.username && a?.password === b?.password
}
