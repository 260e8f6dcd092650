// One HTTP health check of one member: its own connection, its own deadline, the body always read.

import { Pool } from 'undici'
import type { Clock } from '../platform/clock.ts'
import { Deadline } from '../platform/deadline.ts'
import { messageOf } from '../platform/errors.ts'
import { type ProbeResult, readAnswer } from './document.ts'
import { given, type PemContents } from './pem-files.ts'

/** Every so many probes take a fresh connection, so that a listener which no longer accepts is seen. */
const FRESH_CONNECTION_EVERY = 10
const BODY_BYTES_MAX = 256 * 1024

/** For REST servers that speak TLS. */
export interface ProbeTls extends PemContents {
  /** False: any certificate will do. */
  readonly verify: boolean
}

/** What counts now: the same object until something of it changed. Undefined: what Node trusts, and nothing shown. */
export type ProbeTlsNow = () => ProbeTls | undefined

/** Options of undici's connections for this TLS. */
export function connectOptions(tls: ProbeTls | undefined) {
  return tls === undefined ? {} : { connect: { rejectUnauthorized: tls.verify, ...given(tls) } }
}

/** What a failed call says, and what to do when TLS is why: the texts of TLS libraries name no setting. */
export function printCallError(error: unknown, origin: string, tls: ProbeTls | undefined): string {
  const says = messageOf(error)
  if (!origin.startsWith('https:')) return says
  if (/self-signed|unable to (?:verify|get)|signed by/i.test(says))
    return `${says} (checks.cacert names who signed it)`
  const isCutShort = /other side closed|ECONNRESET|hang up|alert|certificate required/i.test(says)
  return isCutShort && tls?.cert === undefined
    ? `${says} (it may ask for a certificate: checks.cert and checks.key)`
    : says
}

/** Asks one member about itself. `ask` never rejects. */
export interface Probe {
  ask(timeoutMs: number, signal?: AbortSignal): Promise<ProbeResult>
  close(): Promise<void>
}

/** Origin of a REST address such as `http://10.0.0.1:8008/patroni`; undefined when it is no HTTP address. */
export function originOf(apiUrl: string | undefined): string | undefined {
  if (apiUrl === undefined || !URL.canParse(apiUrl)) return undefined
  const url = new URL(apiUrl)
  return url.protocol === 'http:' || url.protocol === 'https:' ? url.origin : undefined
}

/**
 * A probe by `GET <path>`. The status code says whether the member holds the lock, the body says what its server is:
 * one request gives both facts, from stock Patroni and from our own agents.
 */
export class HttpProbe implements Probe {
  readonly #clock: Clock
  readonly #path: string
  readonly #origin: string
  readonly #tlsNow: ProbeTlsNow
  #tls: ProbeTls | undefined
  #pool: Pool
  #asked = 0

  constructor(clock: Clock, origin: string, tls: ProbeTlsNow = () => undefined, path = '/primary') {
    this.#clock = clock
    this.#path = path
    this.#origin = origin
    this.#tlsNow = tls
    this.#tls = tls()
    this.#pool = this.#connections()
  }

  async ask(timeoutMs: number, signal?: AbortSignal): Promise<ProbeResult> {
    const sentAtMs = this.#clock.monotonicMs()
    const by = new Deadline(this.#clock, sentAtMs + timeoutMs)
    this.#asked += 1
    this.#takeRenewed()
    try {
      return await by.run('health check', abort => this.#get(sentAtMs, abort), signal)
    } catch (error) {
      return { kind: 'silent', sentAtMs, why: printCallError(error, this.#origin, this.#tls) }
    }
  }

  async #get(sentAtMs: number, signal: AbortSignal): Promise<ProbeResult> {
    const response = await this.#pool.request({
      method: 'GET',
      path: this.#path,
      signal,
      reset: this.#asked % FRESH_CONNECTION_EVERY === 0,
      // The signal is the deadline: undici's own timers are too coarse for half a second.
      headersTimeout: 0,
      bodyTimeout: 0,
    })
    const body = await readBody(response.body)
    return readAnswer(response.statusCode, body, { sentAtMs, receivedAtMs: this.#clock.monotonicMs() })
  }

  async close(): Promise<void> {
    await this.#pool.destroy()
  }

  #connections(): Pool {
    return new Pool(this.#origin, {
      connections: 1,
      pipelining: 1,
      keepAliveTimeout: 30_000,
      ...connectOptions(this.#tls),
    })
  }

  /** Probes never overlap: nothing is under way on the old connection. */
  #takeRenewed(): void {
    const now = this.#tlsNow()
    if (now === this.#tls) return
    const old = this.#pool
    this.#tls = now
    this.#pool = this.#connections()
    // Nobody waits for it, and its end has no consequence.
    void old.destroy().catch(() => {})
  }
}

async function readBody(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.length
    if (bytes > BODY_BYTES_MAX) throw new Error(`answer is longer than ${BODY_BYTES_MAX} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
