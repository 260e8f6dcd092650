// Where a test keeps its data and logs, and how the program under test is started. Inside `npm test` both are given by the
// runner (own namespaces, data on a tmpfs); a file run by hand with `node --test` makes its own in a temporary directory.

import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { mergedTimeline } from './timeline.ts'

/**
 * What clean-up hangs on: a test's context, or `{ after }` of `node:test` at the top level of a file, for what all its
 * tests share (never inside a `before` hook: there it would run as soon as the hook ends).
 */
export interface Scope {
  after(run: () => void | Promise<void>): void
  readonly name?: string
  readonly passed?: boolean
}

/** A place of its own for one cluster. */
export interface Workplace {
  /** Data of the hosts; short, because sockets lie below it. */
  readonly data: string
  readonly logs: string
  /** Command words of the program under test: node, its options, main. */
  readonly program: readonly string[]
  /** Runs at the end, the latest first, before the place itself is removed. */
  defer(run: () => unknown): void
}

let made = 0

/** A fresh place, removed when the scope ends. When a test fails by hand, the merged timeline of its logs is printed. */
export async function makeWorkplace(scope: Scope): Promise<Workplace> {
  made += 1
  const given = process.env['PGHERD_WORK']
  const base = given ?? (await mkdtemp(path.join(tmpdir(), 'pgherd-')))
  await chmod(base, 0o755)
  const data = path.join(base, 'data', String(made))
  const logs = path.join(base, 'logs', String(made))
  for (const directory of [data, logs]) await mkdir(directory, { recursive: true })
  const deferred: (() => unknown)[] = []
  scope.after(async () => {
    // The runner calls hooks in the order of their registration; what was built last must go first.
    for (const run of deferred.reverse()) await run()
    if (given === undefined && scope.passed === false) await printTimeline(logs)
    await rm(given === undefined ? base : data, { recursive: true, force: true })
  })
  return { data, logs, program: programWords(), defer: run => void deferred.push(run) }
}

/**
 * The program under test: the packed one that the runner made, otherwise the sources of this checkout, which must then be
 * readable for the account that servers run as.
 */
export function programWords(env: NodeJS.ProcessEnv = process.env): readonly string[] {
  const packed = env['PGHERD_PROGRAM']
  if (packed !== undefined) return JSON.parse(packed) as string[]
  return [process.execPath, path.resolve(import.meta.dirname, '../../src/main.ts')]
}

async function printTimeline(logs: string): Promise<void> {
  const lines = await mergedTimeline(logs)
  process.stderr.write(`--- timeline of ${logs}\n${lines.join('\n')}\n---\n`)
}
