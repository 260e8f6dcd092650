// Asks one check once: an HTTP server, the table of processes, or a program. Never throws; a deadline bounds everything.

import { readdir, readFile } from 'node:fs/promises'
import { Agent, request } from 'undici'
import type { CheckQuestion } from '../../config/keepalived/types.ts'
import type { Deadline } from '../../platform/deadline.ts'
import { messageOf } from '../../platform/errors.ts'
import { Shell } from '../../platform/shell.ts'

/** Is it good, and if not, why? */
export interface CheckAnswer {
  readonly isGood: boolean
  readonly says: string
}

/** Asks again and again the same; `close` frees what it keeps. */
export interface Asker {
  ask(by: Deadline): Promise<CheckAnswer>
  close(): Promise<void>
}

const BODY_BYTES_MAX = 256 * 1024
/** The kernel keeps so much of a name. */
const COMM_LENGTH = 15

export function askerOf(question: CheckQuestion): Asker {
  switch (question.kind) {
    case 'http':
      return new HttpAsker(question)
    case 'process':
      return plain(() => askProcess(question))
    case 'pid-file':
      return plain(() => askPidFile(question.file))
    case 'command':
      return new CommandAsker('exec "$@"', question.words)
    case 'shell':
      return new CommandAsker(question.text, [])
  }
}

function plain(ask: () => Promise<CheckAnswer>): Asker {
  return {
    ask: by => by.run('the check', ask).catch((error: unknown) => bad(messageOf(error))),
    close: async () => {},
  }
}

function good(says: string): CheckAnswer {
  return { isGood: true, says }
}

function bad(says: string): CheckAnswer {
  return { isGood: false, says }
}

type HttpQuestion = Extract<CheckQuestion, { readonly kind: 'http' }>

/** A connection for each question: one that is kept would hide a server that takes no new ones. */
class HttpAsker implements Asker {
  readonly #question: HttpQuestion
  readonly #dispatcher: Agent

  constructor(question: HttpQuestion) {
    this.#question = question
    this.#dispatcher = new Agent({
      pipelining: 0,
      keepAliveTimeout: 1,
      connect: { rejectUnauthorized: question.verifies },
    })
  }

  async ask(by: Deadline): Promise<CheckAnswer> {
    const { url, method, statuses, contains } = this.#question
    try {
      const { status, body } = await by.run('the answer', signal => this.#request(url, method, signal))
      if (!isFine(statuses, status)) return bad(`status ${status}`)
      if (contains !== undefined && !body.includes(contains)) return bad(`no “${contains}” in the answer`)
      return good(`status ${status}`)
    } catch (error) {
      return bad(messageOf(error))
    }
  }

  async close(): Promise<void> {
    await this.#dispatcher.destroy()
  }

  async #request(
    url: string,
    method: string,
    signal: AbortSignal,
  ): Promise<{ readonly status: number; readonly body: string }> {
    const answer = await request(url, { dispatcher: this.#dispatcher, method, signal, reset: true })
    const chunks: Buffer[] = []
    let bytes = 0
    for await (const chunk of answer.body) {
      const piece = Buffer.from(chunk)
      if (bytes < BODY_BYTES_MAX) chunks.push(piece)
      bytes += piece.length
    }
    return { status: answer.statusCode, body: Buffer.concat(chunks).toString('utf8') }
  }
}

function isFine(statuses: HttpQuestion['statuses'], status: number): boolean {
  if (statuses === undefined) return true
  return statuses === 'below-400' ? status < 400 : statuses.includes(status)
}

type ProcessQuestion = Extract<CheckQuestion, { readonly kind: 'process' }>

/** Looks through the table of processes, without starting a program for it. */
async function askProcess({ name, isPart, isSelf }: ProcessQuestion): Promise<CheckAnswer> {
  if (isSelf) return good('it is this process')
  const wanted = name.slice(0, COMM_LENGTH)
  const entries = await readdir('/proc')
  for (const pid of entries) {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) continue
    // A process may end while we look.
    const comm = (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')).trimEnd()
    if ((isPart ? comm.includes(wanted) : comm === wanted) && (await isAlive(pid))) return good(`pid ${pid}`)
  }
  return bad(`no process ${name}`)
}

async function askPidFile(file: string): Promise<CheckAnswer> {
  const pid = (await readFile(file, 'utf8')).trim()
  if (!/^\d+$/.test(pid)) return bad(`${file} has no pid in it`)
  return (await isAlive(pid)) ? good(`pid ${pid}`) : bad(`pid ${pid} is gone`)
}

/** What has ended but was not waited for is not alive. */
async function isAlive(pid: string): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  const state = stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3)
  return state !== '' && state !== 'Z' && state !== 'X'
}

/** Runs a program in a shell that is kept, so that the event loop never stands still for a fork. */
class CommandAsker implements Asker {
  readonly #script: string
  readonly #words: readonly string[]
  readonly #shell = new Shell(() => ({ PATH: process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin' }))

  constructor(script: string, words: readonly string[]) {
    this.#script = script
    this.#words = words
  }

  async ask(by: Deadline): Promise<CheckAnswer> {
    try {
      const result = await this.#shell.run(this.#script, { by, args: this.#words })
      if (result.timedOut) return bad('it did not end in time')
      if (result.code === 0) return good('exit code 0')
      return bad(result.code === undefined ? `ended by ${result.signal}` : `exit code ${result.code}`)
    } catch (error) {
      return bad(messageOf(error))
    }
  }

  async close(): Promise<void> {
    this.#shell.close()
  }
}
