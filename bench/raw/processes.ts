// Starts the two processes of the raw load and speaks with them.

import { type ChildProcess, fork } from 'node:child_process'
import path from 'node:path'
import { realClock, sleepWith } from '../../src/platform/clock.ts'
import type { Answer } from './client.ts'
import type { Order } from './guest.ts'
import type { MarkOrder, PeerPorts } from './peer.ts'

const ANSWER_WITHIN_MS = 120_000

/** A child that answers each message with one. */
class Child<Question extends object, Reply> {
  readonly #process: ChildProcess

  constructor(script: string, args: readonly string[]) {
    this.#process = fork(path.join(import.meta.dirname, script), [...args], { execArgv: ['--no-warnings'] })
  }

  send(question: Question): void {
    this.#process.send(question)
  }

  /** The next message. Rejects when the child ends, or when none comes in two minutes. */
  next(): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const timer = realClock.setTimer(ANSWER_WITHIN_MS, () => reject(new Error('no answer of the raw load')))
      const onExit = (code: number | null) => {
        timer.cancel()
        reject(new Error(`a process of the raw load ended with code ${code}`))
      }
      this.#process.once('exit', onExit)
      this.#process.once('message', message => {
        timer.cancel()
        this.#process.off('exit', onExit)
        resolve(message as Reply)
      })
    })
  }

  stop(): void {
    this.#process.removeAllListeners('exit')
    if (this.#process.connected) this.#process.disconnect()
  }
}

/** Both ends of the raw load. */
export class RawLoad {
  readonly port: number
  /** Where each router asks for the peer's health, by the names given at the start. */
  readonly checkPorts: PeerPorts['checkPorts']
  readonly host: string
  readonly #peer: Child<MarkOrder, { downAtMs: number }>
  readonly #client: Child<Order & Target, Answer>

  private constructor(
    host: string,
    ports: PeerPorts,
    peer: Child<MarkOrder, { downAtMs: number }>,
    client: Child<Order & Target, Answer>,
  ) {
    this.host = host
    this.port = ports.port
    this.checkPorts = ports.checkPorts
    this.#peer = peer
    this.#client = client
  }

  /** `names`: of the routers, each of which gets a port for its check. */
  static async start(host: string, names: readonly string[]): Promise<RawLoad> {
    const peer = new Child<MarkOrder, never>('peer.ts', [host, ...names])
    const client = new Child<Order & Target, never>('client.ts', [])
    const [ports] = await Promise.all([peer.next(), client.next()])
    return new RawLoad(host, ports, peer as never, client as never)
  }

  /** One order for the client. */
  do(order: Order, target: Target): Promise<Answer> {
    this.#client.send({ ...order, ...target })
    return this.#client.next()
  }

  /** From now on this router's check fails; resolves to the time of the first answer that said so to it. */
  async markDown(name: string): Promise<number> {
    this.#peer.send({ name, isDown: true })
    return (await this.#peer.next()).downAtMs
  }

  /** The router's check is good again; resolves when a session gets through. */
  async markUp(name: string, target: Target): Promise<void> {
    this.#peer.send({ name, isDown: false })
    await sleepWith(realClock, SETTLE_MS)
    await this.do({ kind: 'open', clients: 1 }, target)
    await this.do({ kind: 'drop' }, target)
  }

  stop(): void {
    this.#client.stop()
    this.#peer.stop()
  }
}

/** Where the client connects. */
export interface Target {
  readonly host: string
  readonly port: number
}

/** Several checks of the routers. */
const SETTLE_MS = 2000
