// Runs a program to its end, as a person at a terminal or a script would.

import { runChild } from '../../src/platform/child.ts'
import { realClock } from '../../src/platform/clock.ts'
import { Deadline } from '../../src/platform/deadline.ts'

export interface Ran {
  readonly code: number | undefined
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  /** Added to a bare environment: PATH and HOME only. */
  readonly env?: Readonly<Record<string, string>>
  /** What is typed; the input ends after it. */
  readonly input?: string
  readonly cwd?: string
  /** Default: a minute. */
  readonly withinMs?: number
}

/** Runs `words` and waits for the end; rejects when it does not come in time. */
export async function runProgram(words: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const [program = '', ...args] = words
  const { code, stdout, stderr } = await runChild(program, args, {
    by: Deadline.in(realClock, options.withinMs ?? 60_000),
    env: {
      PATH: process.env['PATH'] ?? '',
      HOME: '/nonexistent',
      LANG: 'C.UTF-8',
      TZ: 'UTC',
      ...options.env,
    },
    input: options.input ?? '',
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  })
  return { code, stdout, stderr }
}
