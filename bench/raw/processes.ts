// Starts the two processes of the raw load and speaks with them.

import { type ChildProcess, fork } from 'node:child_process'
import path from 'node:path'
import { realClock, sleepWith } from '../../src/platform/clock.ts'
import type { Answer, Order } from './client.ts'

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
  readonly checkPort: number
  readonly host: string
  readonly #peer: Child<{ isDown: boolean }, { downAtMs: number }>
  readonly #client: Child<Order & Target, Answer>

  private constructor(
    host: string,
    ports: { port: number; checkPort: number },
    peer: Child<{ isDown: boolean }, { downAtMs: number }>,
    client: Child<Order & Target, Answer>,
  ) {
    this.host = host
    this.port = ports.port
    this.checkPort = ports.checkPort
    this.#peer = peer
    this.#client = client
  }

  static async start(host: string): Promise<RawLoad> {
    const peer = new Child<{ isDown: boolean }, never>('peer.ts', [host])
    const client = new Child<Order & Target, never>('client.ts', [])
    const [ports] = await Promise.all([peer.next(), client.next()])
    return new RawLoad(host, ports, peer as never, client as never)
  }

  /** One order for the client. */
  do(order: Order, target: Target): Promise<Answer> {
    this.#client.send({ ...order, ...target })
    return this.#client.next()
  }

  /** From now on the check fails; resolves to the time of the first answer that said so. */
  async markDown(): Promise<number> {
    this.#peer.send({ isDown: true })
    return (await this.#peer.next()).downAtMs
  }

  /** The check is good again; resolves when a session gets through. */
  async markUp(target: Target): Promise<void> {
    this.#peer.send({ isDown: false })
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
