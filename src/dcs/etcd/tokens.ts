// The session's token of a named user: got from etcd, shared by all members, thrown away when one refuses it. A refusal
// comes before anything is done, so the request may be sent once more with a new token, a write too.

import type { Clock } from '../../platform/clock.ts'
import { EtcdFault, faultOf } from './faults.ts'
import type { EtcdRpc } from './rpc.ts'
import type { SecretSource } from './secrets.ts'

/** Words of etcd about a token that it does not know, or knows no longer, or misses. */
const TOKEN_REFUSED =
  /(invalid auth token|auth token is not valid|revision of auth store is old|user name is empty)/
const AUTH_OFF = /authentication is not enabled/

/** Checking a password costs etcd some 60 ms of processor time: a wrong one is not offered more often than this. */
const REFUSED_FOR_MS = 1_000

export interface TokensParts {
  readonly clock: Clock
  readonly secrets: SecretSource
  /** Told the result of each authentication: ok, off (etcd asks for none), or the kind of fault. */
  readonly onAuthenticated: (endpoint: string, result: string, says: string) => void
}

/** One member as tokens see it. */
export interface TokenMember {
  readonly name: string
  readonly rpc: EtcdRpc
}

export class Tokens {
  readonly #parts: TokensParts
  #token: string | undefined
  #tokenAtMs = Number.NEGATIVE_INFINITY
  /** Authentication is switched off in etcd: requests go without a token until one is asked for. */
  #isOff = false
  #refusal: { readonly fault: EtcdFault; readonly atMs: number } | undefined
  readonly #pending = new WeakMap<EtcdRpc, Promise<string | undefined>>()
  readonly #stopListening: () => void

  constructor(parts: TokensParts) {
    this.#parts = parts
    this.#stopListening = parts.secrets.onChange(({ auth }) => {
      if (auth) this.#forget()
    })
  }

  /**
   * Sends with a valid token, or without one for a user who has no name. `isLenient`: go without rather than not at all.
   */
  async send<T>(
    member: TokenMember,
    signal: AbortSignal,
    isLenient: boolean,
    send: (token: string | undefined) => Promise<T>,
  ): Promise<T> {
    const first = await this.#get(member, signal, isLenient)
    try {
      return await send(first)
    } catch (error) {
      if (this.#parts.secrets.current().auth === undefined || !TOKEN_REFUSED.test(String(error))) throw error
      this.#discard(first)
      const second = await this.#get(member, signal, isLenient)
      signal.throwIfAborted()
      return send(second)
    }
  }

  /** Something was refused for reasons that may lie in the token: an old one is not offered again. */
  doubt(): void {
    if (this.#parts.clock.monotonicMs() - this.#tokenAtMs > REFUSED_FOR_MS) this.#discard(this.#token)
  }

  close(): void {
    this.#stopListening()
  }

  #discard(token: string | undefined): void {
    if (token === this.#token) this.#token = undefined
    this.#isOff = false
  }

  #forget(): void {
    this.#token = undefined
    this.#isOff = false
    this.#refusal = undefined
  }

  async #get(member: TokenMember, signal: AbortSignal, isLenient: boolean): Promise<string | undefined> {
    if (this.#parts.secrets.current().auth === undefined || this.#isOff) return undefined
    if (this.#token !== undefined) return this.#token
    try {
      return await this.#authenticateOnce(member, signal)
    } catch (error) {
      if (isLenient && faultOf(error, member.name).kind === 'auth') return undefined
      throw error
    }
  }

  /** Calls that come at the same time share one authentication at their member; another member's must not make them wait. */
  async #authenticateOnce(member: TokenMember, signal: AbortSignal): Promise<string | undefined> {
    const pending = this.#pending.get(member.rpc)
    if (pending !== undefined) return await pending.catch(() => this.#authenticate(member, signal))
    const mine = this.#authenticate(member, signal).finally(() => this.#pending.delete(member.rpc))
    this.#pending.set(member.rpc, mine)
    return await mine
  }

  async #authenticate({ name, rpc }: TokenMember, signal: AbortSignal): Promise<string | undefined> {
    const { clock, secrets, onAuthenticated } = this.#parts
    const { auth } = secrets.current()
    if (auth === undefined) return undefined
    if (this.#refusal !== undefined && clock.monotonicMs() - this.#refusal.atMs < REFUSED_FOR_MS) {
      throw this.#refusal.fault
    }
    try {
      const token = await rpc.authenticate(auth.username, auth.password, { signal })
      this.#token = token
      this.#tokenAtMs = clock.monotonicMs()
      this.#refusal = undefined
      onAuthenticated(name, 'ok', `etcd knows the user "${auth.username}"`)
      return token
    } catch (error) {
      if (AUTH_OFF.test(String(error))) {
        this.#isOff = true
        this.#refusal = undefined
        onAuthenticated(name, 'off', 'etcd asks for no password')
        return undefined
      }
      throw this.#refused(name, auth.username, error)
    }
  }

  #refused(name: string, username: string, error: unknown): EtcdFault {
    const { clock, secrets, onAuthenticated } = this.#parts
    const found = faultOf(error, name)
    // What fails on the way to a token has surely not reached the request behind it.
    const kind = found.kind === 'unanswered' ? 'not-sent' : found.kind
    const fault = new EtcdFault(kind, name, found.detail, error)
    onAuthenticated(name, kind, `etcd refuses the user "${username}": ${found.detail}`)
    if (kind === 'auth') {
      this.#refusal = { fault, atMs: clock.monotonicMs() }
      secrets.suspect()
    }
    return fault
  }
}
