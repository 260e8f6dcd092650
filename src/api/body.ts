// Reads a request's body with a bound on its size. The server bounds the time.

import type { IncomingMessage } from 'node:http'
import { isObject, type Json, type JsonObject, parseJson } from '../cluster/json.ts'
import { type Answer, errorPage, text } from './answer.ts'

const BODY_BYTES_MAX = 64 * 1024

export type Body = { readonly value: JsonObject } | { readonly refusal: Answer }

/** The JSON object that an action needs, or the answer that says what is wrong with it. */
export async function readObject(request: IncomingMessage): Promise<Body> {
  const length = request.headers['content-length']
  if (length === undefined) return { refusal: errorPage(411, 'Content-Length is needed') }
  if (Number(length) > BODY_BYTES_MAX) return { refusal: errorPage(413, 'The body is too long') }
  if (Number(length) === 0) return { refusal: errorPage(400, 'The body is empty') }
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const value: Json | undefined = parseJson(Buffer.concat(chunks).toString('utf8'))
  if (value === undefined) return { refusal: text(400, 'the body is no JSON') }
  return isObject(value) && Object.keys(value).length > 0
    ? { value }
    : { refusal: text(400, 'the body is no JSON object') }
}
