// The agent's REST server: sockets, their bounds in number and time, and the bytes of the answers. Health checks must
// get through whatever else is going on, so an idle connection never keeps a new one out.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Registry } from 'prom-client'
import type { RestConfig } from '../config/agent/types.ts'
import type { Clock } from '../platform/clock.ts'
import { messageOf, UserError } from '../platform/errors.ts'
import type { Logger } from '../platform/log.ts'
import type { AgentPort } from './agent-port.ts'
import { type Answer, errorPage, printAnswer } from './answer.ts'
import { Router } from './routes.ts'
import type { AskPeers } from './switchover.ts'

export interface ApiParts {
  readonly rest: RestConfig
  readonly agent: AgentPort
  readonly askPeers: AskPeers
  readonly clock: Clock
  readonly log: Logger
  readonly registry: Registry
  /** Of the program, for the Server header. */
  readonly version: string
}

const CONNECTIONS_MAX = 500
const REQUEST_TIMEOUT_MS = 10_000
const CHECK_INTERVAL_MS = 1_000
/** A reader that takes longer for an answer of a few kilobytes has gone. */
const ANSWER_TIMEOUT_MS = 10_000

export class ApiServer {
  readonly #parts: ApiParts
  readonly #router: Router
  readonly #server: Server
  /** Connections in the order of their arrival; the value says whether an answer is under way. */
  readonly #connections = new Map<Socket, boolean>()

  constructor(parts: ApiParts) {
    this.#parts = parts
    const { agent, askPeers, clock, log, registry, rest } = parts
    this.#router = new Router({
      agent,
      askPeers,
      clock,
      log,
      authentication: rest.authentication,
      ownMetrics: () => registry.metrics(),
    })
    this.#server = createServer({
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: CHECK_INTERVAL_MS,
      requireHostHeader: false,
      keepAlive: false,
    })
    this.#server.on('connection', socket => this.#admit(socket))
    this.#server.on('request', (request, response) => void this.#serve(request, response))
    this.#server.on('clientError', (_error, socket) => this.#refuseMalformed(socket as Socket))
  }

  /** Resolves with the port when the server listens; a UserError says why it cannot. */
  listen(): Promise<number> {
    const { host, port } = this.#parts.rest.listen
    const isEverywhere = host === '' || host === '*'
    return new Promise((resolve, reject) => {
      this.#server.once('error', error => reject(explainListen(error, `${host}:${port}`)))
      this.#server.listen({ port, ...(isEverywhere ? {} : { host }) }, () => {
        this.#server.removeAllListeners('error')
        this.#server.on('error', error => this.#parts.log.error(`REST server: ${messageOf(error)}`))
        const address = this.#server.address()
        resolve(typeof address === 'object' && address !== null ? address.port : port)
      })
    })
  }

  /** Takes no new connections and cuts those that are left. */
  close(): Promise<void> {
    for (const socket of this.#connections.keys()) socket.destroy()
    return new Promise(resolve => {
      this.#server.close(() => resolve())
    })
  }

  #admit(socket: Socket): void {
    if (this.#connections.size >= CONNECTIONS_MAX) this.#dropOldestIdle()
    this.#connections.set(socket, false)
    socket.on('error', () => {})
    socket.on('close', () => this.#connections.delete(socket))
  }

  #dropOldestIdle(): void {
    for (const [socket, isBusy] of this.#connections) {
      if (isBusy) continue
      this.#connections.delete(socket)
      socket.destroy()
      return
    }
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { socket } = request
    // One answer a connection: what was pipelined behind the first request is not looked at.
    if (this.#connections.get(socket) === true) return
    this.#connections.set(socket, true)
    const controller = new AbortController()
    response.on('close', () => controller.abort(new Error('the caller has gone')))
    const answer = await this.#router.answer(request, controller.signal).catch((error: unknown) => {
      this.#parts.log.error(`REST: ${request.method} ${request.url}: ${messageOf(error)}`)
      return errorPage(500, 'Internal error')
    })
    request.resume()
    this.#send(socket, answer, request.method === 'HEAD')
  }

  #refuseMalformed(socket: Socket): void {
    if (this.#connections.get(socket) === true || !socket.writable) return
    this.#connections.set(socket, true)
    this.#send(socket, errorPage(400, 'Bad request'), false)
  }

  #send(socket: Socket, answer: Answer, isHead: boolean): void {
    if (socket.destroyed) return
    const { clock, version } = this.#parts
    const sent = isHead ? { ...answer, body: undefined } : answer
    socket.setTimeout(ANSWER_TIMEOUT_MS, () => socket.destroy())
    socket.end(printAnswer(sent, `pgherd/${version}`, clock.wallMs()))
  }
}

function explainListen(error: NodeJS.ErrnoException, address: string): Error {
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE: 'another program uses this port: stop it, or change restapi.listen',
    EADDRNOTAVAIL: 'this machine has no such address: change restapi.listen',
    EACCES: 'permission denied: ports below 1024 need a privilege, or change restapi.listen',
    ENOTFOUND: 'the host name has no address: change restapi.listen',
  }
  const reason = reasons[error.code ?? '']
  return reason === undefined
    ? error
    : new UserError(`restapi.listen: cannot listen on ${address}: ${reason}`)
}
