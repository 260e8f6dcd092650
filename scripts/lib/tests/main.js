// A whole test run: checks, preparation, the stages one after the other, clean-up, totals.

import { chownSync, cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { serverAccount } from '../account.js'
import { makeSharedDirectory, packArtefact } from '../artefact.js'
import { build, runTool } from '../build.js'
import { filesBelow, root, stateDir } from '../paths.js'
import { say } from '../say.js'
import { runFile, runTogether } from './file.js'
import { checkIsolation } from './isolate.js'
import { runPool } from './pool.js'
import { promisesOfRun } from './promises.js'
import { waitForRoom } from './room.js'
import {
  budgetLine,
  fileLines,
  isFailure,
  recordedDurations,
  totalLine,
  totals,
  writeRecord,
} from './summary.js'
import { LONGEST, STAGES } from './tiers.js'
import { leftTraces, traces } from './traces.js'

const TIMELINE_LINES = 300

/** Compiled sources from one test file to the next: halves the processor time of the unit tier. */
const COMPILE_CACHE = path.join(stateDir, 'compile-cache')
const COMPILE_CACHE_FILES_MAX = 5_000

/**
 * @typedef {object} RunOptions
 * @property {boolean} complete whether these are all files of all tiers
 * @property {boolean} long with the long files, for which there is no budget
 * @property {boolean} checks compile and lint first
 * @property {boolean} fromSource run the program from src instead of the packed one, which saves the build
 */

/**
 * Runs the planned files and prints everything. Resolves to the exit code: 0 only if nothing failed and nothing is left.
 * @param {readonly import('./tiers.js').Planned[]} plan
 * @param {RunOptions} options
 * @returns {Promise<number>}
 */
export async function runTests(plan, options) {
  const started = performance.now()
  if (options.checks && !(await runChecks())) return 1
  const before = await traces()
  const stopped = new AbortController()
  const onSignal = () => stopped.abort()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, onSignal)
  const directory = makeSharedDirectory('pgherd-test-')
  const runMark = `PGHERD_RUN=${path.basename(directory)}`
  try {
    const surroundings = await prepare(plan, directory, options, stopped.signal)
    const { files, problems } = await runStages(plan, surroundings)
    if (options.complete && !stopped.signal.aborted) files.push(checkedPromises(files))
    const left = await leftTraces(before, runMark)
    return report(files, [...problems, ...left], { ...options, started, interrupted: stopped.signal.aborted })
  } finally {
    rmSync(directory, { recursive: true, force: true, maxRetries: 3 })
  }
}

/** Compiles everything and lints it; both print their own findings. */
async function runChecks() {
  const compiled = await runTool('typescript/bin/tsc', ['-p', 'tsconfig.json'])
  const linted = await runTool('@biomejs/biome/bin/biome', ['check', '.'])
  if (compiled === 0 && linted === 0) return true
  say('the sources do not pass tsc or biome (messages above); no test was run')
  return false
}

/**
 * @param {readonly import('./tiers.js').Planned[]} plan
 * @param {string} directory
 * @param {RunOptions} options
 * @param {AbortSignal} signal
 * @returns {Promise<import('./file.js').Surroundings>}
 */
async function prepare(plan, directory, options, signal) {
  const isolated = plan.some(({ stage }) => stage.isolated)
  const account = isolated
    ? await serverAccount()
    : { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }
  /** @type {NodeJS.ProcessEnv} */
  const env = {
    ...process.env,
    PGHERD_RUN: path.basename(directory),
    PGHERD_ACCOUNT: `${account.uid}:${account.gid}`,
  }
  if (filesBelow(COMPILE_CACHE).length > COMPILE_CACHE_FILES_MAX) rmSync(COMPILE_CACHE, { recursive: true })
  env['NODE_COMPILE_CACHE'] = COMPILE_CACHE
  // The run's own shared place, for what is made once and used by many files (the database template).
  const shared = path.join(directory, 'shared')
  mkdirSync(shared)
  chownSync(shared, account.uid, account.gid)
  env['PGHERD_SHARED'] = shared
  if (isolated) await checkIsolation()
  if (isolated && !options.fromSource) {
    await build()
    mkdirSync(path.join(directory, 'prefix'))
    const artefact = await packArtefact(path.join(directory, 'prefix'))
    env['PGHERD_PROGRAM'] = JSON.stringify(artefact.program)
  }
  return { directory, account, env, signal }
}

/**
 * @param {readonly import('./tiers.js').Planned[]} plan
 * @param {import('./file.js').Surroundings} surroundings
 */
async function runStages(plan, surroundings) {
  /** @type {import('./file.js').FileResult[]} */
  const files = []
  /** @type {string[]} */
  const problems = []
  for (const stage of STAGES) {
    const planned = longestFirst(plan.filter(entry => entry.stage === stage))
    if (planned.length === 0 || surroundings.signal.aborted) continue
    const started = performance.now()
    const tell = async (/** @type {import('./file.js').FileResult} */ result) => {
      files.push(result)
      process.stdout.write(`${fileLines(result)}\n`)
      if (result.tests.some(isFailure)) await printEvidence(result)
    }
    if (stage.sharedProcesses > 0) {
      for (const result of await runTogether(planned, stage.sharedProcesses, surroundings)) await tell(result)
    } else {
      const room = stage.isolated ? () => waitForRoom(surroundings.signal) : undefined
      const work = async (/** @type {import('./tiers.js').Planned} */ entry) => {
        if (!surroundings.signal.aborted) await tell(await runFile(entry, surroundings))
      }
      await runPool(planned, stage.filesAtOnce, work, room)
    }
    const budget = budgetLine(stage, performance.now() - started)
    say(budget.text)
    if (budget.failed) problems.push(budget.text)
  }
  return { files, problems }
}

/**
 * Only a complete run can tell whether every promised test ran.
 * @param {readonly import('./file.js').FileResult[]} files
 */
function checkedPromises(files) {
  const result = promisesOfRun(files)
  process.stdout.write(`${fileLines(result)}\n`)
  return result
}

/**
 * Files that took long last time begin first, so that none of them runs alone at the end. A clean checkout knows no last
 * time: there the one that is known to be long begins.
 * @param {readonly import('./tiers.js').Planned[]} plan
 */
function longestFirst(plan) {
  const durations = recordedDurations()
  const duration = (/** @type {string} */ file) => durations[file] ?? (LONGEST.includes(file) ? Infinity : 0)
  return [...plan].sort((left, right) => Math.sign(duration(right.file) - duration(left.file)) || 0)
}

/**
 * Prints what the file printed and one timeline of all its logs, and keeps both for a closer look.
 * @param {import('./file.js').FileResult} result
 */
async function printEvidence(result) {
  const { mergedTimeline } = await import('../../../test/support/timeline.ts')
  const lines = await mergedTimeline(path.join(result.work, 'logs'))
  const kept = path.join(stateDir, 'failed', path.basename(result.work))
  rmSync(kept, { recursive: true, force: true })
  cpSync(path.join(result.work, 'logs'), path.join(kept, 'logs'), { recursive: true })
  writeFileSync(path.join(kept, 'output.txt'), result.output)
  writeFileSync(path.join(kept, 'timeline.txt'), `${lines.join('\n')}\n`)
  const shown = lines.slice(-TIMELINE_LINES)
  process.stdout.write(`--- output of ${result.file}\n${result.output.trimEnd()}\n`)
  if (lines.length === 0) return
  process.stdout.write(
    `--- last ${shown.length} of ${lines.length} log lines (all in ${path.relative(root, kept)})\n`,
  )
  process.stdout.write(`${shown.join('\n')}\n---\n`)
}

/**
 * @param {readonly import('./file.js').FileResult[]} files
 * @param {readonly string[]} problems failures that belong to no file
 * @param {RunOptions & { started: number, interrupted: boolean }} run
 * @returns {number}
 */
function report(files, problems, run) {
  writeRecord(files, run.complete && !run.interrupted)
  const own = problems.map(text => ({ name: text, result: /** @type {const} */ ('failed'), durationMs: 0 }))
  const tests = [...files.flatMap(file => file.tests), ...own]
  for (const text of problems) process.stdout.write(`FAIL ${text}\n`)
  const failed = files.flatMap(({ file, tests: all }) =>
    all.filter(isFailure).map(test => `${file}: ${test.name}`),
  )
  if (failed.length > 0)
    process.stdout.write(`failed tests:\n${failed.map(name => `  ${name}`).join('\n')}\n`)
  if (run.interrupted) say('interrupted')
  const durationMs = performance.now() - run.started
  if (run.complete && !run.long) say(totalLine(durationMs))
  process.stdout.write(`${totals(tests, durationMs)}\n`)
  return tests.some(isFailure) || run.interrupted || tests.length === 0 ? 1 : 0
}
