// The operators' port: a page, metrics, JSON. Read only, never behind the limits of the other listeners.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Registry } from 'prom-client'
import type { Bind } from '../../config/proxy/types.ts'
import { messageOf } from '../../platform/errors.ts'
import { listen } from '../listening.ts'
import { renderPage } from './page.ts'
import { printStatus, type StatusParts } from './status.ts'

const REQUEST_TIMEOUT_MS = 10_000
const CONNECTIONS_MAX = 256

export interface AdminOptions {
  readonly bind: Bind
  readonly registry: Registry
  readonly parts: StatusParts
}

interface Reply {
  readonly code: number
  readonly type: string
  readonly body: string
}

export class AdminServer {
  readonly #options: AdminOptions
  readonly #server: Server

  constructor(options: AdminOptions) {
    this.#options = options
    this.#server = createServer(
      { requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS },
      (request, response) => void this.#answer(request, response),
    )
    this.#server.maxConnections = CONNECTIONS_MAX
  }

  /** Begins to listen. Throws UserError when the address cannot be had. */
  async listen(): Promise<void> {
    await listen(this.#server, this.#options.bind, 'admin.bind')
  }

  close(): void {
    this.#server.close()
    this.#server.closeAllConnections()
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const reply = await this.#reply(request).catch(error => text(500, messageOf(error)))
    response.writeHead(reply.code, {
      'content-type': reply.type,
      'content-length': Buffer.byteLength(reply.body),
      'cache-control': 'no-store',
    })
    response.end(request.method === 'HEAD' ? undefined : reply.body)
  }

  async #reply({ method, url = '/' }: IncomingMessage): Promise<Reply> {
    if (method !== 'GET' && method !== 'HEAD') return text(405, 'only GET and HEAD')
    const { registry, parts } = this.#options
    switch (url.split('?', 1)[0]) {
      case '/':
        return { code: 200, type: 'text/html; charset=utf-8', body: renderPage(parts) }
      case '/status':
        return { code: 200, type: 'application/json', body: `${printStatus(parts)}\n` }
      case '/metrics':
        return { code: 200, type: registry.contentType, body: await registry.metrics() }
      case '/healthz':
        return text(200, 'ok')
      default:
        return text(404, 'there is /, /status, /metrics and /healthz')
    }
  }
}

function text(code: number, says: string): Reply {
  return { code, type: 'text/plain; charset=utf-8', body: `${says}\n` }
}
