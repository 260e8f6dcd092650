// A server with a REST server beside it, both played from a script: what a proxy sees of a cluster, without a cluster.

import { createServer, type Server, type Socket } from 'node:net'
import { authOk, keyData, message, parameter, ready } from '../unit/proxy/bytes.ts'

export interface Played {
  /** Codes by path; any other path has 503. */
  codes: Record<string, number>
  /** The REST server takes connections and answers nothing. */
  isSilent: boolean
  /** The server's port refuses. */
  isRefusing: boolean
}

export class PlayedServer {
  readonly name: string
  readonly address: string
  readonly script: Played = { codes: {}, isSilent: false, isRefusing: false }
  /** Whole requests to the REST server, by the address that asked. */
  readonly requests: { readonly from: string; readonly text: string }[] = []
  readonly sessions = new Set<Socket>()
  readonly #rest: Server
  #server: Server
  readonly #ports: { readonly server: number; readonly rest: number }

  constructor(name: string, address: string, ports = { server: 5432, rest: 8008 }) {
    this.name = name
    this.address = address
    this.#ports = ports
    this.#rest = createServer({ allowHalfOpen: true }, socket => this.#onAsked(socket))
    this.#server = this.#createServer()
  }

  async start(): Promise<void> {
    await listening(this.#rest, this.#ports.rest, this.address)
    await listening(this.#server, this.#ports.server, this.address)
  }

  /** Answers as the leader, as a replica, or as neither. */
  be(role: 'leader' | 'replica' | 'nothing'): void {
    this.script.codes = { '/': role === 'leader' ? 200 : 503, '/replica': role === 'replica' ? 200 : 503 }
  }

  /** The server's port refuses from now on; sessions end. */
  async refuse(): Promise<void> {
    for (const socket of this.sessions) socket.destroy()
    await new Promise(resolve => this.#server.close(resolve))
  }

  async accept(): Promise<void> {
    this.#server = this.#createServer()
    await listening(this.#server, this.#ports.server, this.address)
  }

  stop(): void {
    this.#rest.close()
    this.#server.close()
    for (const socket of this.sessions) socket.destroy()
  }

  #createServer(): Server {
    return createServer({ allowHalfOpen: true }, socket => this.#onSession(socket))
  }

  #onAsked(socket: Socket): void {
    let text = ''
    socket.on('error', () => {})
    socket.on('data', chunk => {
      text += chunk.toString('latin1')
      if (!text.includes('\r\n\r\n')) return
      this.requests.push({ from: socket.remoteAddress ?? '', text })
      if (this.script.isSilent) return
      const path = text.split(' ')[1] ?? ''
      const code = this.script.codes[path] ?? 503
      socket.end(`HTTP/1.0 ${code} ${code === 200 ? 'OK' : 'Service Unavailable'}\r\nServer: played\r\n\r\n`)
    })
  }

  /** Tells its name after the start-up; answers each query with its name again; ends when the client ends. */
  #onSession(socket: Socket): void {
    this.sessions.add(socket)
    let isStarted = false
    socket.on('error', () => {})
    socket.on('close', () => this.sessions.delete(socket))
    socket.on('end', () => socket.end(message('N', `bye from ${this.name}\0`)))
    socket.on('data', chunk => {
      if (isStarted) {
        socket.write(Buffer.concat([message('D', this.name), ready]))
        return
      }
      if (chunk.length === 8) {
        socket.write('N')
        return
      }
      isStarted = true
      const greeting = [
        authOk,
        parameter('server', this.name),
        keyData(42, Buffer.from('0badcafe', 'hex')),
        ready,
      ]
      socket.write(Buffer.concat(greeting))
    })
  }
}

function listening(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })
}
