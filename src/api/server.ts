// The agent's REST server: listening, TLS, the bytes of the answers, and taking over a new configuration without losing
// the port.

import {
  createServer as createHttpServer,
  type Server as HttpServer,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { createServer, type Server, type Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { Registry } from 'prom-client'
import type { RestConfig } from '../config/agent/types.ts'
import type { Clock } from '../platform/clock.ts'
import { messageOf, UserError } from '../platform/errors.ts'
import type { Logger } from '../platform/log.ts'
import { AccessRules, type Caller } from './access.ts'
import type { AuditRecord } from './actions.ts'
import type { AgentPort } from './agent-port.ts'
import { type Answer, errorPage, printAnswer } from './answer.ts'
import { Connections } from './connections.ts'
import { createApiCounts } from './counts.ts'
import { Router } from './routes.ts'
import type { AskPeers } from './switchover.ts'
import { readServerTls, type ServerTls } from './tls.ts'

export interface ApiParts {
  readonly rest: RestConfig
  readonly agent: AgentPort
  readonly askPeers: AskPeers
  readonly clock: Clock
  readonly log: Logger
  readonly registry: Registry
  /** Of the program, for the Server header. */
  readonly version: string
  /** Told of every call that changes something, or tried to. */
  readonly audit: (record: AuditRecord) => void
}

const HANDSHAKE_MS = 5_000
const HEADER_BYTES_MAX = 16 * 1024
/** What waits in the kernel while 2,000 callers come at once. */
const BACKLOG = 1_024

/** What Node's parser could not read. */
interface ClientError extends Error {
  readonly code?: string
  readonly rawPacket?: Buffer
}

/** What one configuration makes of the server; replaced as a whole by a reload. */
interface Face {
  readonly rest: RestConfig
  readonly access: AccessRules
  readonly http: HttpServer
  readonly tls: ServerTls | undefined
}

export class ApiServer {
  readonly #parts: ApiParts
  readonly #router: Router
  readonly #connections: Connections
  #face: Face | undefined
  #listener: Server | undefined

  constructor(parts: ApiParts) {
    this.#parts = parts
    const { agent, askPeers, clock, log, registry, audit } = parts
    const counts = createApiCounts(registry, () => this.#connections.size)
    this.#connections = new Connections(clock, socket => this.#refuseLate(socket), counts.dropped)
    this.#router = new Router({
      agent,
      askPeers,
      clock,
      log,
      audit: record => {
        counts.action(record.call, record.code)
        audit(record)
      },
      access: () => this.#current().access,
      ownMetrics: () => registry.metrics(),
    })
  }

  /** Resolves with the port when the server listens; a UserError says why it cannot. */
  async listen(): Promise<number> {
    this.#face = await this.#makeFace(this.#parts.rest)
    this.#listener = await this.#listenOn(this.#parts.rest)
    this.#connections.start()
    const address = this.#listener.address()
    return typeof address === 'object' && address !== null ? address.port : this.#parts.rest.listen.port
  }

  /**
   * Takes a new configuration: access rules, headers, certificates (read again), the address. When something of it does not
   * work, the server goes on as it was and the promise rejects with a UserError.
   */
  async reload(rest: RestConfig): Promise<void> {
    const before = this.#current()
    const face = await this.#makeFace(rest)
    const { host, port } = before.rest.listen
    const isElsewhere = host !== rest.listen.host || port !== rest.listen.port
    if (isElsewhere || this.#listener?.listening !== true) await this.#move(before.rest, rest)
    this.#face = face
    if (face.tls?.mark !== before.tls?.mark)
      this.#parts.log.info('REST server: other certificates from now on')
  }

  /** Connections that were taken stay, and get their answers. */
  async #move(before: RestConfig, rest: RestConfig): Promise<void> {
    const old = this.#listener
    try {
      this.#listener = await this.#listenOn(rest)
      old?.close()
    } catch (error) {
      if (before.listen.port !== rest.listen.port || !isTaken(error) || old?.listening !== true) throw error
      await this.#moveWithin(old, before, rest)
    }
  }

  /** All addresses and one of them exclude each other at one port: it has to be free first. */
  async #moveWithin(old: Server, before: RestConfig, rest: RestConfig): Promise<void> {
    const bound = old.address()
    // Where it really was: no name has to be looked up for the way back.
    const host = typeof bound === 'object' && bound !== null ? bound.address : before.listen.host
    old.close()
    try {
      this.#listener = await this.#listenOn(rest)
    } catch (error) {
      this.#listener = await this.#listenOn({ ...before, listen: { ...before.listen, host } })
      throw error
    }
  }

  /** Takes no new connections and cuts those that are left. */
  close(): Promise<void> {
    this.#connections.close()
    return new Promise(resolve => {
      if (this.#listener === undefined) resolve()
      else this.#listener.close(() => resolve())
    })
  }

  #current(): Face {
    if (this.#face === undefined) throw new Error('the REST server was not started')
    return this.#face
  }

  async #makeFace(rest: RestConfig): Promise<Face> {
    const tls = rest.tls === undefined ? undefined : await readServerTls(rest.tls)
    return { rest, tls, access: new AccessRules(rest, this.#parts.clock), http: this.#httpServer(tls) }
  }

  /** Never listens: connections are handed to it, so that it can be replaced while the port stays. */
  #httpServer(tls: ServerTls | undefined): HttpServer {
    const options = { requireHostHeader: false, keepAlive: false, maxHeaderSize: HEADER_BYTES_MAX }
    const server: HttpServer =
      tls === undefined
        ? createHttpServer(options)
        : createHttpsServer({ ...options, ...tls.options, handshakeTimeout: HANDSHAKE_MS })
    server.on('request', (request, response) => void this.#serve(request, response))
    server.on('clientError', (error: ClientError, socket) => this.#refuseMalformed(error, socket as Socket))
    server.on('tlsClientError', (_error: Error, socket: TLSSocket) => socket.destroy())
    return server
  }

  #listenOn(rest: RestConfig): Promise<Server> {
    const { host, port } = rest.listen
    const isEverywhere = host === '' || host === '*'
    const listener = createServer(socket => {
      if (this.#connections.admit(socket)) this.#current().http.emit('connection', socket)
      else this.#refuseCrowded(socket)
    })
    return new Promise((resolve, reject) => {
      listener.once('error', error => reject(explainListen(error, `${host}:${port}`)))
      listener.listen({ port, backlog: BACKLOG, ...(isEverywhere ? {} : { host }) }, () => {
        listener.removeAllListeners('error')
        listener.on('error', error => this.#parts.log.error(`REST server: ${messageOf(error)}`))
        resolve(listener)
      })
    })
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { socket } = request
    // One answer a connection: what was pipelined behind the first request is not looked at.
    if (!this.#connections.begin(socket)) return
    const controller = new AbortController()
    const abandon = () => controller.abort(new Error('the caller has gone'))
    response.on('close', abandon)
    const answer = await this.#router
      .answer(request, callerOf(request), controller.signal)
      .catch((error: unknown) => {
        this.#parts.log.error(`REST: ${request.method} ${request.url}: ${messageOf(error)}`)
        return errorPage(500, 'Internal error')
      })
    response.off('close', abandon)
    request.resume()
    this.#send(socket, answer, request.method === 'HEAD')
  }

  #refuseMalformed({ code, rawPacket }: ClientError, socket: Socket): void {
    if (!socket.writable || !this.#connections.begin(socket)) return
    // Node's parser knows methods by name, others take any word for one.
    const line = code === 'HPE_INVALID_METHOD' ? (rawPacket?.toString('latin1') ?? '') : ''
    const method = /^([^\s]{1,32}) [^\s]+ HTTP\/1\.[01]\r?\n/.exec(line)?.[1]
    const answer =
      method === undefined ? errorPage(400, 'Bad request') : errorPage(501, `Unsupported method (${method})`)
    this.#send(socket, answer, false)
  }

  /** An encrypted caller that is late has no request yet that could be answered in clear. */
  #refuseLate(socket: Socket): void {
    if (this.#current().tls === undefined && socket.writable && this.#connections.begin(socket)) {
      this.#send(socket, errorPage(408, 'The request did not come in time'), false)
    } else {
      socket.destroy()
    }
  }

  /** Every connection is one that is being answered. Nothing is read and nobody is waited for: the next one comes at once. */
  #refuseCrowded(socket: Socket): void {
    if (this.#current().tls === undefined) {
      const answer = errorPage(503, 'Too many connections')
      socket.write(printAnswer(answer, this.#serverToken(), this.#parts.clock.wallMs()))
    }
    socket.destroySoon()
  }

  #send(socket: Socket, answer: Answer, isHead: boolean): void {
    if (socket.destroyed) return
    const { extraHeaders } = this.#current().rest
    const sent = isHead
      ? { ...answer, body: undefined }
      : { ...answer, headers: { ...extraHeaders, ...answer.headers } }
    this.#connections.end(socket)
    // Node's server would end the socket once more when the caller does: an error with a stack for every check.
    socket.removeAllListeners('end')
    socket.end(printAnswer(sent, this.#serverToken(), this.#parts.clock.wallMs()))
  }

  #serverToken(): string {
    const { version } = this.#parts
    return this.#current().rest.serverTokens === 'productonly' ? 'pgherd' : `pgherd/${version}`
  }
}

function callerOf(request: IncomingMessage): Caller {
  const { socket } = request
  return {
    address: socket.remoteAddress,
    authorization: request.headers.authorization,
    hasCertificate: socket instanceof TLSSocket && socket.authorized && showsCertificate(socket),
  }
}

/** Node 20 (not 24) calls a resumed TLS 1.3 session authorized although no certificate was shown in the first one either. */
function showsCertificate(socket: TLSSocket): boolean {
  return Object.keys(socket.getPeerCertificate()).length > 0
}

function explainListen(error: NodeJS.ErrnoException, address: string): Error {
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE: 'another program uses this port: stop it, or change restapi.listen',
    EADDRNOTAVAIL: 'this machine has no such address: change restapi.listen',
    EACCES: 'permission denied: ports below 1024 need a privilege, or change restapi.listen',
    ENOTFOUND: 'the host name has no address: change restapi.listen',
  }
  const reason = reasons[error.code ?? '']
  if (reason === undefined) return error
  const { code } = error
  return Object.assign(new UserError(`restapi.listen: cannot listen on ${address}: ${reason}`), { code })
}

function isTaken(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EADDRINUSE'
}
