// Asks other members to go on accepting a leader that has lost etcd: POST /failsafe, in parallel. Anything but a clear
// yes is no.

import { type Agent, request } from 'undici'
import { asBigint, type JsonObject, printJson } from '../cluster/json.ts'
import type { Lsn } from '../cluster/lsn.ts'
import type { Deadline } from '../platform/deadline.ts'
import { agentFor } from './peer.ts'
import type { RestCredentials } from './rest-client.ts'

/** One member's answer. `lsn`: its own position, if it told. */
export interface FailsafeReply {
  readonly name: string
  readonly isAccepted: boolean
  readonly lsn: Lsn | undefined
}

const BODY_BYTES_MAX = 1_024

export class FailsafeClient {
  #agent: Agent
  #authorization: string | undefined

  /** `credentials`: certificates and account of this member. */
  constructor(credentials: RestCredentials) {
    this.#agent = agentFor(credentials)
    this.#authorization = credentials.authorization
  }

  /** From the next question on. */
  setCredentials(credentials: RestCredentials): void {
    const old = this.#agent
    this.#agent = agentFor(credentials)
    this.#authorization = credentials.authorization
    void old.close().catch(() => {})
  }

  /** Asks all of `peers` (name -> api_url); settles by `by`, never rejects. */
  askAll(
    peers: ReadonlyMap<string, string>,
    body: JsonObject,
    by: Deadline,
  ): Promise<readonly FailsafeReply[]> {
    return Promise.all([...peers].map(([name, url]) => this.#ask(name, url, body, by)))
  }

  async close(): Promise<void> {
    await this.#agent.destroy()
  }

  async #ask(name: string, url: string, body: JsonObject, by: Deadline): Promise<FailsafeReply> {
    try {
      return await by.run(`POST ${url}`, signal => this.#post(name, url, body, signal))
    } catch {
      return { name, isAccepted: false, lsn: undefined }
    }
  }

  async #post(name: string, url: string, body: JsonObject, signal: AbortSignal): Promise<FailsafeReply> {
    const answer = await request(url.replace(/\/patroni\/?$/, '/failsafe'), {
      method: 'POST',
      dispatcher: this.#agent,
      signal,
      body: printJson(body),
      headers: {
        'content-type': 'application/json',
        connection: 'close',
        ...(this.#authorization === undefined ? {} : { authorization: this.#authorization }),
      },
    })
    const text = await readShort(answer.body)
    const { lsn } = answer.headers
    const isAccepted = answer.statusCode === 200 && text.trim() === 'Accepted'
    return { name, isAccepted, lsn: typeof lsn === 'string' ? asBigint(lsn) : undefined }
  }
}

async function readShort(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.length
    if (bytes > BODY_BYTES_MAX) throw new Error('the answer is too long')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
