// Reads a request's body with a bound on its size and on its time. What the caller says about its type does not count:
// many a script sends JSON as a form.

import type { IncomingMessage } from 'node:http'
import { isObject, type Json, type JsonObject, parseJson } from '../cluster/json.ts'
import type { Clock } from '../platform/clock.ts'
import { Deadline } from '../platform/deadline.ts'
import { type Answer, errorPage } from './answer.ts'

const BODY_BYTES_MAX = 256 * 1024
const BODY_MS = 5_000

export type Body = { readonly value: JsonObject } | { readonly refusal: Answer }

/** The JSON object that an action needs, or the answer that says what is wrong with it. An optional body may be missing. */
export async function readObject(request: IncomingMessage, clock: Clock, isOptional: boolean): Promise<Body> {
  const length = request.headers['content-length']
  if (length === undefined)
    return isOptional ? { value: {} } : { refusal: errorPage(411, 'Content-Length is needed') }
  if (Number(length) > BODY_BYTES_MAX) return { refusal: errorPage(413, 'The body is too long') }
  if (Number(length) === 0)
    return isOptional ? { value: {} } : { refusal: errorPage(400, 'The body is empty') }
  const text = await readText(request, clock)
  if (text === undefined) return { refusal: errorPage(408, 'The body did not come in time') }
  const value: Json | undefined = parseJson(text)
  if (value === undefined) return { refusal: errorPage(400, 'The body is no JSON') }
  const isGood = isObject(value) && (isOptional || Object.keys(value).length > 0)
  return isGood ? { value } : { refusal: errorPage(400, 'The body is no JSON object, or it is empty') }
}

/** Undefined when the caller is too slow or goes away. */
async function readText(request: IncomingMessage, clock: Clock): Promise<string | undefined> {
  const chunks: Buffer[] = []
  const read = async () => {
    for await (const chunk of request) chunks.push(chunk as Buffer)
  }
  try {
    await Deadline.in(clock, BODY_MS).run('the body', read)
    return Buffer.concat(chunks).toString('utf8')
  } catch {
    return undefined
  }
}
