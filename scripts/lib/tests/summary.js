// What a test run prints, and the record that it leaves for programs.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { stateDir } from '../paths.js'

/** A machine that is busy with other things may be slow: over the budget is said, over three times the budget is a failure. */
const BUDGET_FACTOR = 3
const TOTAL_SECONDS = 18 * 60
const RECORD = path.join(stateDir, 'last-run.json')

/**
 * One line for a file that is done, more when something in it failed or was skipped.
 * @param {import('./file.js').FileResult} result
 * @returns {string}
 */
export function fileLines(result) {
  const failed = result.tests.filter(isFailure)
  const seconds = (result.durationMs / 1000).toFixed(1)
  const head = `${failed.length > 0 ? 'FAIL' : 'ok  '} ${result.file}  ${result.tests.length} tests  ${seconds} s`
  const skipped = result.tests.filter(test => test.result === 'skipped')
  return [
    head,
    ...result.notes.map(text => `       ${text}`),
    ...skipped.map(test => `  skip ${test.name}: ${test.reason ?? 'no reason given'}`),
    ...failed.map(test => `  fail ${test.name}\n${indent(test.error ?? '')}`),
  ].join('\n')
}

/**
 * A stage's time against its budget.
 * @param {import('./tiers.js').Stage} stage
 * @param {number} durationMs
 * @returns {{ text: string, failed: boolean }}
 */
export function budgetLine(stage, durationMs) {
  const seconds = durationMs / 1000
  const name = stage.tiers.join(' + ')
  const text = `${name}: ${seconds.toFixed(1)} s of ${stage.budgetSeconds} s`
  if (seconds <= stage.budgetSeconds) return { text, failed: false }
  return { text: `${text}: OVER ITS BUDGET`, failed: seconds > stage.budgetSeconds * BUDGET_FACTOR }
}

/**
 * The last lines of the run, in the form of Node's own test runner.
 * @param {readonly import('./file.js').TestResult[]} tests
 * @param {number} durationMs
 * @returns {string}
 */
export function totals(tests, durationMs) {
  const count = (/** @type {string} */ result) => tests.filter(test => test.result === result).length
  return [
    `# tests ${tests.length}`,
    `# pass ${count('passed')}`,
    `# fail ${count('failed')}`,
    `# cancelled ${count('cancelled')}`,
    `# skipped ${count('skipped')}`,
    `# todo ${count('todo')}`,
    `# duration_ms ${Math.round(durationMs)}`,
  ].join('\n')
}

/**
 * The whole run against what a run of everything may take. Only said: each tier fails on its own when it is far over.
 * @param {number} durationMs
 * @returns {string}
 */
export function totalLine(durationMs) {
  const seconds = durationMs / 1000
  const text = `everything: ${seconds.toFixed(1)} s of ${TOTAL_SECONDS} s`
  return seconds <= TOTAL_SECONDS ? text : `${text}: OVER ITS BUDGET`
}

/** @param {import('./file.js').TestResult} test */
export function isFailure(test) {
  return test.result === 'failed' || test.result === 'cancelled'
}

/**
 * Writes `.pgherd/last-run.json`: every test by file and name with its result, so that others can check what really ran.
 * @param {readonly import('./file.js').FileResult[]} files
 * @param {boolean} complete whether this was a run of everything
 */
export function writeRecord(files, complete) {
  mkdirSync(stateDir, { recursive: true })
  const tests = files.flatMap(({ file, tier, tests: own }) =>
    own.map(test => ({ file, tier, ...test, error: undefined })),
  )
  const measured = Object.fromEntries(files.map(({ file, durationMs }) => [file, Math.round(durationMs)]))
  const durations = { ...recordedDurations(), ...measured }
  const record = { at: new Date().toISOString(), complete, durations, tests }
  writeFileSync(RECORD, `${JSON.stringify(record, undefined, 1)}\n`)
}

/**
 * How long each file took when it last ran here, in milliseconds.
 * @returns {Record<string, number>}
 */
export function recordedDurations() {
  return existsSync(RECORD) ? (JSON.parse(readFileSync(RECORD, 'utf8')).durations ?? {}) : {}
}

/** @param {string} text */
function indent(text) {
  return text
    .split('\n')
    .map(line => `       ${line}`)
    .join('\n')
}
