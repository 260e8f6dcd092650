// Checks at a steady pace from a process of their own, and what their times say.

import path from 'node:path'
import { runProgram } from './run-program.ts'

export interface CheckTimes {
  /** Of every check, from the connect to the end of the answer, the quickest first. */
  readonly tookMs: readonly number[]
  /** How often each status code came; 0: no answer. */
  readonly codes: Readonly<Record<string, number>>
}

/** The same checks of a member and of a server that does nothing but answer, side by side. */
export interface PacedChecks {
  readonly member: CheckTimes
  readonly nothing: CheckTimes
}

export interface Pace {
  readonly perSecond: number
  readonly seconds: number
}

/** `OPTIONS` answers with a status line, `GET` with the whole document besides. */
export interface Check {
  readonly method: 'OPTIONS' | 'GET'
  readonly target: string
}

/**
 * Asks at this pace, whatever the answers do. Server and caller get the processor before the machine's other
 * work, where that is allowed: the figure shall tell of the program and not of its neighbours. `pid` is the server's.
 */
export async function timeChecks(
  server: { readonly address: string; readonly port: number; readonly pid: number },
  { method, target }: Check,
  { perSecond, seconds }: Pace,
): Promise<PacedChecks> {
  const isFirst = await chrt('--rr', '--reset-on-fork', '--pid', '1', String(server.pid))
  try {
    const file = path.join(import.meta.dirname, 'check-load.ts')
    const words = [server.address, server.port, method, target, perSecond, seconds].map(String)
    const before = isFirst ? ['chrt', '--rr', '1'] : []
    const ran = await runProgram([...before, process.execPath, file, ...words])
    if (ran.code !== 0) throw new Error(`the checks ended with ${ran.code}: ${ran.stderr}`)
    return JSON.parse(ran.stdout) as PacedChecks
  } finally {
    if (isFirst) await chrt('--other', '--pid', '0', String(server.pid))
  }
}

/** False where the kernel does not allow it, or the tool is missing. */
async function chrt(...words: readonly string[]): Promise<boolean> {
  const ran = await runProgram(['chrt', ...words]).catch(() => undefined)
  return ran?.code === 0
}

/** The time that this share of the checks did not exceed. */
export function percentile({ tookMs }: CheckTimes, share: number): number {
  return tookMs[Math.min(tookMs.length - 1, Math.floor(tookMs.length * share))] ?? Number.NaN
}

/** `p50 0.61 ms, p99 2.40 ms, longest 11.2 ms`. */
export function describeTimes(times: CheckTimes): string {
  const [p50, p99, longest] = [0.5, 0.99, 1].map(share => percentile(times, share).toFixed(2))
  return `p50 ${p50} ms, p99 ${p99} ms, longest ${longest} ms`
}
