// Calls a member's REST server. Knows addresses, the account and bounds; not what the calls mean.

import { Agent, request } from 'undici'
import { printJson } from '../cluster/json.ts'
import type { RestCredentials } from '../health/rest-client.ts'
import type { Deadline } from '../platform/deadline.ts'
import type { CallMember } from './context.ts'

export interface RestOptions {
  readonly credentials: RestCredentials
  readonly signal: AbortSignal
}

const CONNECT_MS = 5_000
const TEXT_BYTES_MAX = 1024 * 1024

/** A caller for one run of ctl. One connection for each call. */
export function createCallMember({ credentials, signal }: RestOptions): CallMember {
  const dispatcher = new Agent({
    pipelining: 0,
    connect: { ...credentials.connect, timeout: CONNECT_MS },
    headersTimeout: 0,
    bodyTimeout: 0,
  })
  const { authorization } = credentials
  const account = authorization === undefined ? {} : { authorization }
  return async (method, apiUrl, endpoint, body, by: Deadline) => {
    const url = new URL(`/${endpoint}`, apiUrl)
    const content =
      body === undefined ? {} : { body: printJson(body), type: { 'content-type': 'application/json' } }
    const call = async (inner: AbortSignal) => {
      const answer = await request(url, {
        method,
        dispatcher,
        signal: inner,
        headers: { connection: 'close', ...account, ...content.type },
        ...(content.body === undefined ? {} : { body: content.body }),
      })
      return { code: answer.statusCode, text: await readText(answer.body) }
    }
    return by.run(`${method} ${url}`, call, signal)
  }
}

async function readText(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.length
    if (bytes <= TEXT_BYTES_MAX) chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
