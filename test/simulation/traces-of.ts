// The ends of failing worlds, for whoever reads the run: what happened last before the check broke.

import type { Failure } from './runner.ts'
import { trySeed } from './seed.ts'
import { Trace } from './trace.ts'

const LINES = 60
const WORLDS_MAX = 3

type Run = (seed: number, trace: Trace) => Promise<unknown>

/**
 * Runs the first failing worlds again in this process. One that hangs is passed over: it would hang here, too, and whatever
 * is printed after it would never be.
 */
export async function tracesOf(failures: readonly Failure[], run: Run = trySeed): Promise<readonly string[]> {
  const texts: string[] = []
  for (const { seed } of failures.filter(({ check }) => check !== 'hangs').slice(0, WORLDS_MAX)) {
    const trace = new Trace(LINES)
    await run(seed, trace)
    texts.push(`the end of seed ${seed}\n${trace.lines.join('\n')}`)
  }
  return texts
}
