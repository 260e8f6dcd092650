// Checks of one server as files of HAProxy describe them: an HTTP request byte for byte, or a connection that opens.
// Each check has a connection of its own and a deadline for each phase; nothing is kept between two checks.

import { connect, type Socket } from 'node:net'
import { checkServerIdentity, connect as connectTls } from 'node:tls'
import type { Clock } from '../platform/clock.ts'
import type { ProbeResult } from './document.ts'
import { readCheckAnswer } from './document.ts'
import { given, type PemContents } from './pem-files.ts'
import type { Probe } from './probe.ts'

const ANSWER_BYTES_MAX = 256 * 1024
/** An answer that does not say how long it is ends with its connection, or after this much silence. */
const BODY_SILENCE_MS = 250

/** What is asked, in a form that both `http` and `tcp` checks have. */
export interface RawCheckOptions {
  readonly clock: Clock
  readonly host: string
  readonly port: number
  /** The request's bytes; undefined: a connection that opens is the answer. */
  readonly request: string | undefined
  /** Sent before everything else. */
  readonly preface: Buffer | undefined
  readonly connectTimeoutMs: number
  /** Asked for each connection; undefined: in clear text. */
  readonly tls: (() => RawCheckTls) | undefined
}

export interface RawCheckTls extends PemContents {
  readonly verify: boolean
  readonly serverName: string | undefined
  /** What the certificate must be for; undefined: any name. */
  readonly verifiedName: string | undefined
}

/** The bytes of a request as HAProxy sends it: no header that nobody asked for. */
export function printRequest(question: {
  readonly method: string
  readonly path: string
  readonly version: string
  readonly headers: readonly (readonly [string, string])[]
}): string {
  const { method, path, version, headers } = question
  const lines = [`${method} ${path} ${version}`, ...headers.map(([name, value]) => `${name}: ${value}`)]
  if (version === 'HTTP/1.1' && !headers.some(([name]) => name.toLowerCase() === 'connection')) {
    lines.push('connection: close')
  }
  return `${lines.join('\r\n')}\r\n\r\n`
}

export class RawCheck implements Probe {
  readonly #options: RawCheckOptions
  readonly #open = new Set<Socket>()

  constructor(options: RawCheckOptions) {
    this.#options = options
  }

  ask(timeoutMs: number, signal?: AbortSignal): Promise<ProbeResult> {
    const { clock, connectTimeoutMs, request, preface } = this.#options
    const sentAtMs = clock.monotonicMs()
    return new Promise(resolve => {
      const socket = this.#connect()
      this.#open.add(socket)
      const answer = new RawAnswer()
      const finish = (result: ProbeResult) => {
        whole.cancel()
        phase.cancel()
        signal?.removeEventListener('abort', onAbort)
        this.#open.delete(socket)
        socket.destroy()
        resolve(result)
      }
      const silent = (why: string) => finish({ kind: 'silent', sentAtMs, why })
      const onAbort = () => silent('the check was stopped')
      const whole = clock.setTimer(timeoutMs, () => silent(`no answer within ${Math.round(timeoutMs)} ms`))
      let phase = clock.setTimer(connectTimeoutMs, () =>
        silent(`no connection within ${connectTimeoutMs} ms`),
      )
      const tell = () => {
        const receivedAtMs = clock.monotonicMs()
        const { code, body } = answer
        if (code === undefined) silent('the answer is no HTTP')
        else finish(readCheckAnswer(code, body, { sentAtMs, receivedAtMs }))
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      socket.on('error', (error: Error) => silent(error.message))
      socket.once(this.#options.tls === undefined ? 'connect' : 'secureConnect', () => {
        phase.cancel()
        if (preface !== undefined) socket.write(preface)
        if (request === undefined)
          finish(readCheckAnswer(200, '', { sentAtMs, receivedAtMs: clock.monotonicMs() }))
        else socket.write(request)
      })
      socket.on('data', (chunk: Buffer) => {
        answer.add(chunk)
        if (answer.isComplete(request?.startsWith('GET ') === true)) tell()
        else if (answer.hasHead) {
          phase.cancel()
          phase = clock.setTimer(BODY_SILENCE_MS, tell)
        }
      })
      socket.once('end', tell)
    })
  }

  async close(): Promise<void> {
    for (const socket of this.#open) socket.destroy()
  }

  #connect(): Socket {
    const { host, port, tls } = this.#options
    if (tls === undefined) return connect({ host, port })
    const { verify, serverName, verifiedName, ...contents } = tls()
    return connectTls({
      host,
      port,
      rejectUnauthorized: verify,
      // HAProxy looks at the name only when the file gives one: certificates for another name are common behind it.
      checkServerIdentity: (_host, certificate) =>
        verifiedName === undefined ? undefined : checkServerIdentity(verifiedName, certificate),
      ...given(contents),
      ...(serverName === undefined ? {} : { servername: serverName }),
    })
  }
}

/** Collects an HTTP answer of either version. */
class RawAnswer {
  #text = ''

  get hasHead(): boolean {
    return this.#text.includes('\r\n\r\n')
  }

  get code(): number | undefined {
    const match = /^HTTP\/\d\.\d (\d{3})(?: |\r?\n)/.exec(this.#text)
    return match === null ? undefined : Number(match[1])
  }

  get body(): string {
    const at = this.#text.indexOf('\r\n\r\n')
    return at < 0 ? '' : this.#text.slice(at + 4)
  }

  add(chunk: Buffer): void {
    if (this.#text.length < ANSWER_BYTES_MAX) this.#text += chunk.toString('latin1')
  }

  /** Has all arrived that an answer to such a request can have? */
  isComplete(hasBody: boolean): boolean {
    if (!this.hasHead) return this.#text.length >= ANSWER_BYTES_MAX
    const length = /^content-length:\s*(\d+)\s*$/im.exec(
      this.#text.slice(0, this.#text.indexOf('\r\n\r\n') + 2),
    )
    if (!hasBody) return true
    return length !== null && this.body.length >= Number(length[1])
  }
}
