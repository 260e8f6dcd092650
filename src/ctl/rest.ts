// Calls a member's REST server. Knows addresses, the account and bounds; not what the calls mean.

import { Agent, request } from 'undici'
import { printJson } from '../cluster/json.ts'
import type { Deadline } from '../platform/deadline.ts'
import type { CallMember } from './context.ts'

export interface RestOptions {
  readonly authentication: { readonly username: string; readonly password: string } | undefined
  /** Do not verify certificates. */
  readonly insecure: boolean
  readonly signal: AbortSignal
}

const CONNECT_MS = 5_000
const TEXT_BYTES_MAX = 64 * 1024

/** A caller for one run of ctl. One connection for each call. */
export function createCallMember({ authentication, insecure, signal }: RestOptions): CallMember {
  const dispatcher = new Agent({
    pipelining: 0,
    connect: { timeout: CONNECT_MS, rejectUnauthorized: !insecure },
    headersTimeout: 0,
    bodyTimeout: 0,
  })
  const account = authentication === undefined ? {} : { authorization: basic(authentication) }
  return async (method, apiUrl, endpoint, body, by: Deadline) => {
    const url = new URL(`/${endpoint}`, apiUrl)
    const call = async (inner: AbortSignal) => {
      const answer = await request(url, {
        method,
        dispatcher,
        signal: inner,
        headers: { 'content-type': 'application/json', connection: 'close', ...account },
        body: printJson(body),
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

function basic({ username, password }: { readonly username: string; readonly password: string }): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}
