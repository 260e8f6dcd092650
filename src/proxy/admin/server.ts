// The operators' port: a page, metrics, JSON. Read only, never behind the limits of the other listeners.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Registry } from 'prom-client'
import { printJson } from '../../cluster/json.ts'
import type { AdminConfig } from '../../config/proxy/types.ts'
import { messageOf } from '../../platform/errors.ts'
import { listen } from '../listening.ts'
import { Guard } from './guard.ts'
import { renderPage } from './page.ts'
import { explainBackend, printStatus, readSessions, type StatusParts } from './status.ts'

const REQUEST_TIMEOUT_MS = 10_000
/** Connections to each address of the status port. */
export const CONNECTIONS_MAX = 128

/** Without binds there is no status port. */
export interface AdminOptions extends AdminConfig {
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
  readonly #servers: readonly Server[]

  constructor(options: AdminOptions) {
    this.#options = options
    this.#servers = options.binds.map((_bind, index) =>
      this.#createServer(new Guard(options.guards?.[index]), options.prefixes?.[index]),
    )
  }

  /** Begins to listen. Throws UserError when an address cannot be had. */
  async listen(): Promise<void> {
    for (const [index, server] of this.#servers.entries()) {
      const bind = this.#options.binds[index]
      if (bind !== undefined) await listen(server, bind, 'admin.bind')
    }
  }

  close(): void {
    for (const server of this.#servers) {
      server.close()
      server.closeAllConnections()
    }
  }

  #createServer(guard: Guard, prefix: string | undefined): Server {
    const server = createServer(
      { requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS },
      (request, response) => void this.#answer(request, response, guard, prefix),
    )
    server.on('connection', socket => {
      if (!guard.admits(socket.remoteAddress)) socket.destroy()
    })
    server.maxConnections = CONNECTIONS_MAX
    return server
  }

  async #answer(
    request: IncomingMessage,
    response: ServerResponse,
    guard: Guard,
    prefix: string | undefined,
  ): Promise<void> {
    const isKnown = guard.knows(request.headers.authorization)
    const reply = isKnown
      ? await this.#reply(request, prefix).catch(error => text(500, messageOf(error)))
      : text(401, 'name and password, as in stats auth')
    response.writeHead(reply.code, {
      ...(isKnown ? {} : { 'www-authenticate': guard.challenge }),
      'content-type': reply.type,
      'content-length': Buffer.byteLength(reply.body),
      'cache-control': 'no-store',
    })
    response.end(request.method === 'HEAD' ? undefined : reply.body)
  }

  async #reply({ method, url = '/' }: IncomingMessage, prefix: string | undefined): Promise<Reply> {
    if (method !== 'GET' && method !== 'HEAD') return text(405, 'only GET and HEAD')
    const { registry, parts } = this.#options
    const [path = '/'] = url.split('?', 1)
    if (path.startsWith('/explain/')) return explain(path.slice('/explain/'.length), parts)
    switch (path) {
      case '/':
        return page(parts)
      case '/status':
        return { code: 200, type: 'application/json', body: `${printStatus(parts)}\n` }
      case '/sessions':
        return { code: 200, type: 'application/json', body: `${printJson(readSessions(parts))}\n` }
      case '/metrics':
        return { code: 200, type: registry.contentType, body: await registry.metrics() }
      case '/healthz':
        return text(200, 'ok')
      default:
        if (prefix !== undefined && isPage(url, prefix)) return page(parts)
        return text(404, 'there is /, /status, /sessions, /explain/SERVER, /metrics and /healthz')
    }
  }
}

function page(parts: StatusParts): Reply {
  return { code: 200, type: 'text/html; charset=utf-8', body: renderPage(parts) }
}

/** Is it the page by its prefix? Not what HAProxy answers in another form than a page. */
export function isPage(url: string, prefix: string): boolean {
  return url.startsWith(prefix) && !/;(?:csv|json|typed)/.test(url)
}

function explain(encoded: string, parts: StatusParts): Reply {
  let name = encoded
  try {
    name = decodeURIComponent(encoded)
  } catch {
    // A stray percent sign: the name as it stands.
  }
  const lines = explainBackend(name, parts)
  if (lines === undefined)
    return text(
      404,
      `no server has the name ${name}: there is ${[...parts.router.members.keys()].join(', ')}`,
    )
  return text(200, lines.join('\n'))
}

function text(code: number, says: string): Reply {
  return { code, type: 'text/plain; charset=utf-8', body: `${says}\n` }
}
