// A thread of its own for both ends of sessions: a server that answers each byte, and clients that ask without end. It
// remembers when the last bytes came, by the machine's clock.

import { connect, createServer } from 'node:net'
import { parentPort } from 'node:worker_threads'
import type { HostPort } from '../../src/cluster/member.ts'
import { authOk, keyData, parameter, ready, startup } from '../unit/proxy/bytes.ts'

export type FarWish =
  /** `quiet`: so many more ask nothing once they have been greeted. */
  | { readonly do: 'connect'; readonly proxy: HostPort; readonly count: number; readonly quiet: number }
  /** `forgets`: longest pauses count from now on. */
  | { readonly do: 'look'; readonly forgets: boolean }

export interface FarClient {
  readonly isQuiet: boolean
  isGreeted: boolean
  answers: number
  lastAnswerAtMs: number
  /** Between two answers. */
  longestPauseMs: number
  endedAtMs: number | undefined
  /** SQLSTATE of the last words. */
  code: string | undefined
}

export interface FarSide {
  readonly clients: readonly FarClient[]
  /** When the server got the last byte of any client. */
  readonly lastAskedAtMs: number
}

const first = startup({ user: 'far' })
const greeting = Buffer.concat([
  authOk,
  parameter('in_hot_standby', 'off'),
  keyData(1, Buffer.from('0badcafe', 'hex')),
  ready,
])
const clients: FarClient[] = []
let lastAskedAtMs = 0

const now = () => Number(process.hrtime.bigint()) / 1e6

const server = createServer({ noDelay: true }, socket => {
  let got = 0
  socket.on('error', () => {})
  socket.on('data', chunk => {
    const before = got
    got += chunk.length
    if (before < first.length) {
      if (got >= first.length) socket.write(greeting)
      return
    }
    lastAskedAtMs = now()
    socket.write(ready)
  })
})

function connectOne(proxy: HostPort, isQuiet: boolean): void {
  const began = { answers: 0, lastAnswerAtMs: 0, longestPauseMs: 0, endedAtMs: undefined, code: undefined }
  const client: FarClient = { isQuiet, isGreeted: false, ...began }
  clients.push(client)
  const socket = connect({ ...proxy, noDelay: true })
  let got = 0
  socket.write(first)
  socket.on('error', () => {})
  socket.on('data', chunk => {
    got += chunk.length
    if (got < greeting.length) return
    const code = /\0C(\w{5})\0/.exec(chunk.toString('latin1'))?.[1]
    if (code !== undefined) client.code = code
    else {
      if (got > greeting.length) {
        const atMs = now()
        if (client.answers > 0)
          client.longestPauseMs = Math.max(client.longestPauseMs, atMs - client.lastAnswerAtMs)
        client.answers += 1
        client.lastAnswerAtMs = atMs
      }
      client.isGreeted = true
      if (!isQuiet) setTimeout(() => socket.write('?'), 2)
    }
  })
  socket.on('close', () => {
    client.endedAtMs = now()
  })
}

server.listen({ port: 0, host: '127.0.0.1' }, () => {
  const bound = server.address()
  if (bound === null || typeof bound === 'string') throw new Error('no port')
  parentPort?.postMessage({ host: '127.0.0.1', port: bound.port })
})

parentPort?.on('message', (wish: FarWish) => {
  if (wish.do === 'connect') {
    for (let count = 0; count < wish.count; count += 1) connectOne(wish.proxy, false)
    for (let count = 0; count < wish.quiet; count += 1) connectOne(wish.proxy, true)
    return
  }
  parentPort?.postMessage({ clients, lastAskedAtMs } satisfies FarSide)
  if (wish.forgets) for (const client of clients) client.longestPauseMs = 0
})
