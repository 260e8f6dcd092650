// Runs the notify commands of an instance, one after the other in the order of what happened: two that overtake each other
// would leave the older state behind.

import type { VrrpInstanceConfig } from '../../config/keepalived/types.ts'
import { runChild } from '../../platform/child.ts'
import type { Clock } from '../../platform/clock.ts'
import { Deadline } from '../../platform/deadline.ts'
import { messageOf } from '../../platform/errors.ts'
import type { Logger } from '../../platform/log.ts'
import type { Role } from './machine.ts'

/** A command that hangs must not keep the next one from telling the truth. */
const COMMAND_MS = 30_000
/** Of what nobody could run yet only the newest is kept. */
const WAITING_MAX = 20

export class Notifier {
  readonly #clock: Clock
  readonly #log: Logger
  readonly #waiting: (readonly string[])[] = []
  #running: Promise<void> | undefined

  constructor(clock: Clock, log: Logger) {
    this.#clock = clock
    this.#log = log
  }

  /** Runs the command when those before it have ended. */
  run(words: readonly string[]): void {
    this.#waiting.push(words)
    if (this.#waiting.length > WAITING_MAX) {
      const left = this.#waiting.shift()
      this.#log.warning(`notify: too many commands wait, left out: ${left?.join(' ')}`)
    }
    this.#running ??= this.#work().finally(() => {
      this.#running = undefined
    })
  }

  /** Resolves when every command has ended, or at the deadline. */
  async finish(by: Deadline): Promise<void> {
    await by.run('notify commands', async () => this.#running).catch(() => {})
  }

  async #work(): Promise<void> {
    for (let words = this.#waiting.shift(); words !== undefined; words = this.#waiting.shift()) {
      const [program = '', ...args] = words
      try {
        const result = await runChild(program, args, { by: Deadline.in(this.#clock, COMMAND_MS) })
        if (result.code !== 0)
          this.#tell(words, result.timedOut ? 'too slow, killed' : `exit code ${result.code}`)
      } catch (error) {
        this.#tell(words, messageOf(error))
      }
    }
  }

  #tell(words: readonly string[], says: string): void {
    this.#log.warning(`notify: ${words.join(' ')}: ${says}`, { event: 'vrrp-notify' })
  }
}

const STATES: Readonly<Partial<Record<Role, 'MASTER' | 'BACKUP' | 'FAULT' | 'STOP'>>> = {
  master: 'MASTER',
  backup: 'BACKUP',
  fault: 'FAULT',
  stopped: 'STOP',
}

/** The commands that a change of role calls for, in their order. */
export function commandsFor(
  { name, notify }: VrrpInstanceConfig,
  role: Role,
  priority: number,
): readonly (readonly string[])[] {
  const state = STATES[role]
  if (state === undefined) return []
  const own = { MASTER: notify.master, BACKUP: notify.backup, FAULT: notify.fault, STOP: notify.stop }[state]
  const any = notify.any === undefined ? [] : [[...notify.any, 'INSTANCE', name, state, String(priority)]]
  return own === undefined ? any : [own, ...any]
}
