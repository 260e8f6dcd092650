// `--once`: one power cut without a terminal, then the account of every row. The exit code is the verdict.

import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '../../platform/errors.ts'
import { waitFor } from '../wait.ts'
import { perform } from './act.ts'
import { faults } from './faults.ts'
import { Load } from './load.ts'
import type { Stage, Tell } from './stage.ts'
import { complaints, printErrors, printVerdict } from './verdict.ts'
import { many } from './words.ts'

const ROWS_MIN = 200
const ROWS_BEFORE = 100
const ROWS_WITHIN_MS = 60_000
const AFTERMATH_MS = 2_000
const STOP_WITHIN_MS = 30_000

/** Runs it on a started stage. 0: writing came back, nothing is lost or doubled, and enough was written; otherwise 1. */
export async function runOnce(stage: Stage, tell: Tell, signal: AbortSignal): Promise<number> {
  const { cluster } = stage
  const load = await Load.start(cluster)
  try {
    tell('applications write and read through both proxies')
    await rows(load, ROWS_BEFORE, signal)
    await perform(faults.kill, { cluster, load, tell, signal })
    await rows(load, ROWS_MIN, signal)
    await sleep(AFTERMATH_MS, undefined, { signal })
    return await account(stage, load, tell)
  } catch (error) {
    if (!signal.aborted) tell(`FAILED: ${messageOf(error)}`)
    return 1
  } finally {
    await load.stop()
  }
}

async function account({ cluster }: Stage, load: Load, tell: Tell): Promise<number> {
  const gapMs = load.longestGapMs()
  if (!(await load.stop(STOP_WITHIN_MS))) throw new Error('the writers do not end')
  const verdict = await load.check(cluster)
  tell(printVerdict(verdict, gapMs))
  tell(`errors that clients saw: ${printErrors(load.errors())}; ${many(load.reader.reads, 'read')} answered`)
  const wrong = complaints(verdict, ROWS_MIN)
  tell(wrong.length === 0 ? 'PASSED: nothing that was promised is lost' : `FAILED: ${wrong.join('; ')}`)
  return wrong.length === 0 ? 0 : 1
}

async function rows(load: Load, wanted: number, signal: AbortSignal): Promise<void> {
  await waitFor(many(wanted, 'row'), { withinMs: ROWS_WITHIN_MS, signal }, note => {
    note(many(load.acknowledged, 'row'))
    return load.acknowledged >= wanted
  })
}
