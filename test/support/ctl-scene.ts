// A ctl command's world for unit tests: answers from a list, a store in memory, a member that answers as told.

import type { Json } from '../../src/cluster/json.ts'
import type { CtlContext, RestAnswer } from '../../src/ctl/context.ts'
import { AbortedError, type Terminal } from '../../src/ctl/terminal.ts'
import { MemoryDcs } from '../../src/dcs/memory.ts'
import { MemoryStore } from '../../src/dcs/memory-store.ts'
import { Deadline } from '../../src/platform/deadline.ts'
import { threeMembers } from './agent-status.ts'
import { FakeClock } from './fake-clock.ts'

/** Answers questions from a list; a question beyond it is the end of the input. */
export class ScriptedTerminal implements Terminal {
  readonly answers: string[]
  printed = ''
  warned = ''
  isScreen = false
  hasColours = false
  readonly size = { columns: 80, rows: 24 }

  constructor(answers: readonly string[]) {
    this.answers = [...answers]
  }

  print(text: string): void {
    this.printed += text
  }

  warn(text: string): void {
    this.warned += text
  }

  clear(): void {
    this.printed += '[cleared]\n'
  }

  async ask(question: string, fallback: string): Promise<string> {
    const answer = this.#next(`${question} [${fallback}]: `)
    return answer === '' ? fallback : answer
  }

  async demand(question: string): Promise<string> {
    return this.#next(`${question}: `)
  }

  secret(question: string): Promise<string> {
    return this.demand(question)
  }

  async confirm(question: string): Promise<boolean> {
    return this.#next(`${question} [y/N]: `) === 'y'
  }

  async readAll(): Promise<string> {
    return this.answers.splice(0).join('\n')
  }

  #next(prompt: string): string {
    const answer = this.answers.shift()
    this.printed += `${prompt}${answer ?? ''}\n`
    if (answer === undefined) throw new AbortedError()
    return answer
  }
}

/** One call to a member. */
export interface Called {
  readonly method: string
  readonly url: string
  readonly endpoint: string
  readonly body: Json | undefined
}

export interface CtlScene {
  readonly context: CtlContext
  readonly terminal: ScriptedTerminal
  readonly calls: Called[]
  readonly dcs: MemoryDcs
  readonly clock: FakeClock
  /** How often the cluster refused. */
  readonly refusals: () => number
  /** As the user does who has seen enough. */
  readonly interrupt: () => void
}

/** Runs a command of the scene while its time goes on, for at most two minutes. */
export async function ended(scene: CtlScene, command: Promise<void>): Promise<void> {
  let isOver = false
  const over = command.finally(() => {
    isOver = true
  })
  for (let n = 0; n < 500 && !isOver; n += 1) await scene.clock.advance(250)
  await over
}

/** The keys of `threeMembers` with changes; every call gets `rest`, or what it returns for the call. */
export async function ctlScene(
  answers: readonly string[],
  rest: RestAnswer | Error | ((call: Called) => RestAnswer) = {
    code: 200,
    text: 'Successfully switched over to "pg2"',
  },
  changes: Readonly<Record<string, string>> = {},
): Promise<CtlScene> {
  const clock = new FakeClock()
  const dcs = new MemoryDcs(new MemoryStore({ clock }))
  const puts = Object.entries({ ...threeMembers, ...changes }).map(
    ([key, value]) => ({ kind: 'put', key, value }) as const,
  )
  await dcs.write([], puts, Deadline.in(clock, 1_000))
  const terminal = new ScriptedTerminal(answers)
  const calls: Called[] = []
  let refusals = 0
  const interrupted = new AbortController()
  const context: CtlContext = {
    clock,
    terminal,
    defaultScope: 'main',
    openDcs: () => dcs,
    callMember: async (method, url, endpoint, body) => {
      const call = { method, url, endpoint, body }
      calls.push(call)
      if (rest instanceof Error) throw rest
      return typeof rest === 'function' ? rest(call) : rest
    },
    noteRefusal: () => {
      refusals += 1
    },
    signal: interrupted.signal,
  }
  const interrupt = () => interrupted.abort(new AbortedError())
  return { context, terminal, calls, dcs, clock, refusals: () => refusals, interrupt }
}
