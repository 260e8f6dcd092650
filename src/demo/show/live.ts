// The demo that people play with: a load, a table that lives, a key for each fault, and the story of what happened.

import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ReadStream, WriteStream } from 'node:tty'
import { messageOf } from '../../platform/errors.ts'
import { ROLES } from '../member-config.ts'
import { perform } from './act.ts'
import { type FaultName, faults } from './faults.ts'
import { listen, type Wish } from './keys.ts'
import { Load } from './load.ts'
import { Observer } from './observer.ts'
import type { Chapter, Picture } from './picture.ts'
import { statusUrl } from './proxies.ts'
import { Screen } from './screen.ts'
import type { Stage } from './stage.ts'
import { printErrors, printVerdict } from './verdict.ts'
import { clockTime, count, list, seconds } from './words.ts'

const CHAPTERS_MAX = 200
const PLAIN_EVERY_MS = 10_000
const LAST_ROWS_WITHIN_MS = 2_000
const CHECK_WITHIN_MS = 4_000

/** Input and output of the process. */
export interface Streams {
  readonly input: ReadStream
  readonly out: WriteStream
}

/** A demo at work. Built on a started stage; `run` lasts until somebody ends it. */
export class Live {
  readonly #stage: Stage
  readonly #streams: Streams
  readonly #load: Load
  readonly #observer: Observer
  readonly #quit = new AbortController()
  readonly #story: Chapter[] = []
  readonly #startedMs = performance.now()
  readonly #isTerminal: boolean
  #busy: string | undefined
  #showsHelp = false

  private constructor(stage: Stage, streams: Streams, load: Load) {
    this.#stage = stage
    this.#streams = streams
    this.#load = load
    this.#observer = new Observer(stage.cluster)
    this.#isTerminal = streams.out.isTTY === true
  }

  /** Runs until `q`, Ctrl-C or the signal. What happened and the account of all rows are printed at the end. */
  static async run(stage: Stage, streams: Streams, signal: AbortSignal): Promise<void> {
    const live = new Live(stage, streams, await Load.start(stage.cluster))
    const stop = () => live.#quit.abort(new Error('the demo ends'))
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop, { once: true })
    await live.#run()
  }

  async #run(): Promise<void> {
    const { signal } = this.#quit
    const unlisten = listen(this.#streams.input, wish => this.#onWish(wish))
    const screen = this.#isTerminal ? new Screen(this.#streams.out, () => this.#picture()) : undefined
    const ticker = screen === undefined ? setInterval(() => this.#plainLine(), PLAIN_EVERY_MS) : undefined
    if (screen === undefined) for (const { what, line } of this.#commands()) this.#print(`${what}: ${line}`)
    try {
      await new Promise<void>(resolve => {
        if (signal.aborted) resolve()
        signal.addEventListener('abort', () => resolve(), { once: true })
      })
    } finally {
      clearInterval(ticker)
      unlisten()
      screen?.close()
    }
    if (screen !== undefined) for (const { time, says } of this.#story) this.#print(`${time} ${says}`)
    await this.#farewell()
    await this.#observer.close()
  }

  #onWish(wish: Wish): void {
    if (wish === 'quit') this.#quit.abort(new Error('the demo ends'))
    else if (wish === 'help') this.#help()
    else void this.#act(wish)
  }

  #help(): void {
    this.#showsHelp = !this.#showsHelp
    if (!this.#isTerminal) this.#print('keys: k kill, a kill the agent, f freeze, s switchover, q quit')
  }

  async #act(name: FaultName): Promise<void> {
    this.#showsHelp = false
    if (this.#busy !== undefined) return
    this.#busy = `${name} under way`
    const { signal } = this.#quit
    const tell = (says: string) => this.#tell(says)
    try {
      await perform(faults[name], { cluster: this.#stage.cluster, load: this.#load, tell, signal })
    } catch (error) {
      if (!signal.aborted) this.#tell(`this did not go well: ${messageOf(error)}`)
    }
    this.#busy = undefined
  }

  #tell(says: string): void {
    const chapter = { time: clockTime(new Date()), says }
    this.#story.push(chapter)
    if (this.#story.length > CHAPTERS_MAX) this.#story.shift()
    if (!this.#isTerminal) this.#print(`${chapter.time} ${says}`)
  }

  #picture(): Picture {
    const load = this.#load
    return {
      upMs: performance.now() - this.#startedMs,
      ttlSeconds: this.#stage.options.ttlSeconds,
      members: this.#observer.members(),
      proxies: this.#observer.proxies(),
      load: {
        ratePerSecond: load.ratePerSecond,
        acknowledged: load.acknowledged,
        longestGapMs: load.longestGapMs(),
        samples: load.samples,
        answers: load.reader.answers,
      },
      story: this.#story,
      busy: this.#busy,
      showsHelp: this.#showsHelp,
      commands: this.#commands(),
    }
  }

  #commands(): Picture['commands'] {
    const { username, password } = ROLES.superuser
    const psql = (host: string, port: number) =>
      `PGPASSWORD=${password} psql -h ${host} -p ${port} -U ${username}`
    const { proxies } = this.#stage.cluster
    const [first] = proxies
    if (first === undefined) return []
    return [
      { what: 'write', line: psql(first.write.host, first.write.port) },
      { what: 'read', line: psql(first.read.host, first.read.port) },
      { what: 'status', line: proxies.map(statusUrl).join('  ') },
    ]
  }

  #plainLine(): void {
    const members = this.#observer.members()
    const leader = members.find(({ role }) => role === 'leader')
    const others = members.filter(({ role, pulse }) => role === 'replica' && pulse === 'up')
    const who = leader === undefined ? 'nobody leads' : `${leader.name} leads`
    const rate = `${count(this.#load.ratePerSecond)} rows/s, ${count(this.#load.acknowledged)} acknowledged`
    const follow = others.length === 0 ? '' : `, ${list(others.map(({ name }) => name))} follow`
    this.#print(
      `${clockTime(new Date())} ${who}${follow}; ${rate}; longest wait ${seconds(this.#load.longestGapMs())}`,
    )
  }

  /** The account of all rows; without it when the cluster is in the middle of something. */
  async #farewell(): Promise<void> {
    const gapMs = this.#load.longestGapMs()
    const hasEnded = await this.#load.stop(LAST_ROWS_WITHIN_MS)
    const checking = hasEnded && this.#busy === undefined ? this.#load.check(this.#stage.cluster) : undefined
    checking?.catch(() => {})
    const verdict = await Promise.race([
      checking?.catch(() => undefined),
      sleep(CHECK_WITHIN_MS, undefined, { ref: false }),
    ])
    if (verdict === undefined)
      this.#print(`${count(this.#load.acknowledged)} rows acknowledged, not counted again`)
    else this.#print(`${printVerdict(verdict, gapMs)}; errors: ${printErrors(this.#load.errors())}`)
  }

  #print(line: string): void {
    this.#streams.out.write(`${line}\n`)
  }
}
