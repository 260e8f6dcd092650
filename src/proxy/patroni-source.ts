// Feeds the router without a store: members come from any REST server's /cluster, leadership from their own answers.

import { Pool } from 'undici'
import { asText, isObject, type JsonObject, parseJsonObject, printJson } from '../cluster/json.ts'
import { type Member, parseMember } from '../cluster/member.ts'
import { connectOptions, originOf, type ProbeTls, type ProbeTlsNow, printCallError } from '../health/probe.ts'
import type { Clock } from '../platform/clock.ts'
import { Deadline } from '../platform/deadline.ts'
import { applyClaims } from './claims.ts'
import type { EventSink } from './events.ts'
import type { Router } from './router.ts'
import type { Source } from './source.ts'

const EVERY_MS = 2_000
const RETRY_MS = 500
const CALL_MS = 1_500
const BODY_BYTES_MAX = 1024 * 1024

export interface PatroniSourceOptions {
  readonly clock: Clock
  readonly router: Router
  readonly events: EventSink
  /** Origins to begin with; the members' own are used as soon as they are known. */
  readonly seeds: readonly string[]
  readonly tls?: ProbeTlsNow
}

export class PatroniSource implements Source {
  readonly #options: PatroniSourceOptions
  #members: readonly Member[] = []
  #scope: string | undefined
  #silentSinceMs: number | undefined
  #wake: (() => void) | undefined

  constructor(options: PatroniSourceOptions) {
    this.#options = options
  }

  /** The cluster's name as its members tell it. */
  get scope(): string | undefined {
    return this.#scope
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options
    while (!signal.aborted) {
      const found = await this.#askAny(signal)
      const pause = new AbortController()
      this.#wake = () => pause.abort()
      const delayMs = found ? EVERY_MS : RETRY_MS
      await clock.sleep(delayMs, AbortSignal.any([signal, pause.signal])).catch(() => {})
    }
  }

  refresh(): void {
    this.#wake?.()
  }

  onProbe(): void {
    const { router, clock } = this.#options
    const believed = applyClaims(router.leadership, router.health, clock.monotonicMs())
    if (believed.change !== 'none') router.applyAnswers(believed, this.#members)
  }

  silentMs(): number | undefined {
    const since = this.#silentSinceMs
    return since === undefined ? undefined : this.#options.clock.monotonicMs() - since
  }

  /** Asks one after the other until one answers. */
  async #askAny(signal: AbortSignal): Promise<boolean> {
    const { clock, seeds, router, events } = this.#options
    const known = this.#members.map(member => originOf(member.apiUrl)).filter(origin => origin !== undefined)
    let why = 'no address'
    for (const origin of new Set([...known, ...seeds])) {
      if (signal.aborted) return false
      try {
        const body = await Deadline.in(clock, CALL_MS).run(
          'GET /cluster',
          abort => get(origin, this.#options.tls?.(), abort),
          signal,
        )
        const cluster = readCluster(body)
        if (cluster === undefined) throw new Error('no list of members in the answer')
        this.#scope = cluster.scope ?? this.#scope
        this.#members = cluster.members
        this.#silentSinceMs = undefined
        router.applyAnswers({ next: router.leadership, change: 'none' }, this.#members)
        return true
      } catch (error) {
        why = `${origin}: ${printCallError(error, origin, this.#options.tls?.())}`
      }
    }
    if (this.#silentSinceMs === undefined && !signal.aborted) {
      this.#silentSinceMs = clock.monotonicMs()
      events.record({ kind: 'store-silent', says: `no member tells the cluster's members: ${why}` })
    }
    return false
  }
}

interface ClusterAnswer {
  readonly scope: string | undefined
  readonly members: readonly Member[]
}

/** Reads a /cluster document; undefined when it is none. */
export function readCluster(body: string): ClusterAnswer | undefined {
  const document = parseJsonObject(body)
  const listed = document?.['members']
  if (document === undefined || !Array.isArray(listed)) return undefined
  const members = listed.filter(isObject).map(readMember)
  return { scope: asText(document['scope']), members: members.filter(member => member !== undefined) }
}

/** A member of the list in the form of a member key, which is what everything else reads. */
function readMember(listed: JsonObject): Member | undefined {
  const name = asText(listed['name'])
  const host = asText(listed['host'])
  const { port } = listed
  if (name === undefined || host === undefined || port === undefined) return undefined
  const address = host.includes(':') ? `[${host}]` : host
  const { host: _host, port: _port, ...rest } = listed
  return parseMember(
    name,
    printJson({ ...rest, conn_url: `postgres://${address}:${String(port)}/postgres` }),
    0n,
  )
}

async function get(origin: string, tls: ProbeTls | undefined, signal: AbortSignal): Promise<string> {
  const pool = new Pool(origin, { connections: 1, headersTimeout: 0, bodyTimeout: 0, ...connectOptions(tls) })
  try {
    const { body } = await pool.request({ method: 'GET', path: '/cluster', signal })
    const chunks: Buffer[] = []
    let bytes = 0
    for await (const chunk of body) {
      bytes += (chunk as Buffer).length
      if (bytes > BODY_BYTES_MAX) throw new Error('the answer is too long')
      chunks.push(chunk as Buffer)
    }
    return Buffer.concat(chunks).toString('utf8')
  } finally {
    await pool.destroy()
  }
}
