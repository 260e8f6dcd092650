// What the REST server answers, and its bytes: HTTP/1.0, one answer a connection, the body ends with the connection.
// Load balancers and scripts were written against exactly this form.

import { STATUS_CODES } from 'node:http'
import type { Json } from '../cluster/json.ts'
import { printSpacedJson } from '../cluster/spaced-json.ts'

export interface Answer {
  readonly code: number
  /** Undefined: a status line and an empty line, no headers at all. */
  readonly body: { readonly type: string; readonly text: string } | undefined
  readonly headers?: Readonly<Record<string, string>>
}

/** A bare status line. */
export function statusOnly(code: number): Answer {
  return { code, body: undefined }
}

export function json(code: number, value: Json): Answer {
  return { code, body: { type: 'application/json', text: printSpacedJson(value) } }
}

/** A sentence about an action; the type is what other agents send. */
export function text(code: number, sentence: string, headers: Readonly<Record<string, string>> = {}): Answer {
  return { code, body: { type: 'text/html', text: sentence }, headers }
}

export function plain(code: number, content: string): Answer {
  return { code, body: { type: 'text/plain', text: content } }
}

/** An error of the HTTP layer itself: a small page with code and message. */
export function errorPage(code: number, message: string): Answer {
  const reason = STATUS_CODES[code] ?? 'Error'
  const page =
    '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Error response</title></head>\n' +
    `<body><h1>Error response</h1><p>Error code: ${code}</p><p>Message: ${escapeHtml(message)}.</p>` +
    `<p>${escapeHtml(reason)}</p></body></html>\n`
  return { code, body: { type: 'text/html;charset=utf-8', text: page } }
}

function escapeHtml(value: string): string {
  return value.replace(/[&<>"]/g, char => `&#${char.charCodeAt(0)};`)
}

/** The answer as it goes out. `wallMs` is for the Date header. */
export function printAnswer(answer: Answer, server: string, wallMs: number): string {
  const status = `HTTP/1.0 ${answer.code} ${STATUS_CODES[answer.code] ?? 'Unknown'}\r\n`
  if (answer.body === undefined) return `${status}\r\n`
  const headers: Record<string, string> = {
    Server: server,
    Date: new Date(wallMs).toUTCString(),
    'Content-Type': answer.body.type,
    ...answer.headers,
  }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  return `${status}${lines.join('')}\r\n${answer.body.text}`
}
