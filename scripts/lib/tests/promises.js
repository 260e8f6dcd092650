// docs/promises.md against a run: each row names the test that proves it, and that test must have run and passed. A row
// whose test was renamed, removed or skipped is a failed test of its own. A test of the long run is held to that by the
// long run; the short one sees that its file is there.

import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { root } from '../paths.js'

const PAGE = 'docs/promises.md'
const HEAD = 'promise'
const PROOF = /^`(test\/\S+\.test\.ts)` (.+)$/
/** A number that stands by itself or before its unit; not one at the end of a name. */
const FIGURE = /(^|[\s(+-])\d/
const MEASURED = /^(.+), (\d{4}-\d{2}-\d{2})$/

/** @typedef {{ promise: string, file: string, name: string, measured: string, date: string }} Promised */

/**
 * The rows of the page's tables, and a sentence for each row that cannot be read.
 * @param {string} page Markdown
 * @returns {{ rows: readonly Promised[], problems: readonly string[] }}
 */
export function readPromises(page) {
  /** @type {Promised[]} */
  const rows = []
  const problems = []
  for (const [index, line] of page.split('\n').entries()) {
    if (!line.startsWith('|')) continue
    const cells = cellsOf(line)
    if (cells[0]?.toLowerCase() === HEAD || cells.every(cell => /^:?-+:?$/.test(cell))) continue
    const row = readRow(cells)
    if (typeof row === 'string') problems.push(`${PAGE}:${index + 1}: ${row}`)
    else if (rows.some(({ promise }) => promise === row.promise))
      problems.push(`${PAGE}:${index + 1}: the same promise twice`)
    else rows.push(row)
  }
  if (rows.length === 0) problems.push(`${PAGE}: has no rows`)
  return { rows, problems }
}

/**
 * One result for each row: passed only if the named test ran and passed.
 * @param {readonly Promised[]} rows
 * @param {readonly { file: string, name: string, result: string, reason?: string | undefined }[]} tests of a complete run
 * @param {(file: string) => boolean} [isThere]
 * @returns {import('./file.js').TestResult[]}
 */
export function checkPromises(rows, tests, isThere = file => existsSync(path.join(root, file))) {
  const isLongRun = tests.some(({ file }) => isLong(file))
  return rows.map(row => {
    const own = tests.filter(({ file, name }) => file === row.file && name === row.name)
    const isLater = isLong(row.file) && !isLongRun && isThere(row.file)
    const error = isLater ? undefined : broken(own)
    const name = `promise: ${row.promise}`
    if (error === undefined) return { name, result: 'passed', durationMs: 0 }
    return { name, result: 'failed', durationMs: 0, error: `${row.file}: "${row.name}" ${error}` }
  })
}

/** @param {string} file */
function isLong(file) {
  return file.endsWith('.long.test.ts')
}

/**
 * The page's results as those of one more file of the run.
 * @param {readonly import('./file.js').FileResult[]} files everything that ran
 * @returns {import('./file.js').FileResult}
 */
export function promisesOfRun(files) {
  const place = path.join(root, PAGE)
  const { rows, problems } = existsSync(place)
    ? readPromises(readFileSync(place, 'utf8'))
    : { rows: [], problems: [`${PAGE}: is missing`] }
  const ran = files.flatMap(({ file, tests }) => tests.map(test => ({ ...test, file })))
  const tests = [
    ...checkPromises(rows, ran),
    ...problems.map(error => ({
      name: error,
      result: /** @type {const} */ ('failed'),
      durationMs: 0,
      error,
    })),
  ]
  return { file: PAGE, tier: 'promises', tests, notes: [], durationMs: 0, output: '', work: '' }
}

/**
 * @param {readonly { result: string, reason?: string | undefined }[]} own
 * @returns {string | undefined} what is wrong
 */
function broken(own) {
  if (own.length === 0) return 'did not run: was it renamed or removed?'
  const bad = own.find(({ result }) => result !== 'passed')
  if (bad === undefined) return undefined
  return bad.result === 'skipped' ? `was skipped: ${bad.reason ?? 'no reason given'}` : `was ${bad.result}`
}

/**
 * @param {readonly string[]} cells
 * @returns {Promised | string} the row, or what was expected
 */
function readRow(cells) {
  const [promise = '', proof = '', measured = ''] = cells
  if (cells.length !== 3 || promise === '')
    return 'expected | promise | `test file` test name | value, date |'
  const [, file, name] = PROOF.exec(proof) ?? []
  if (file === undefined || name === undefined) return 'expected `test/....test.ts` and the name of the test'
  const [, value, date] = MEASURED.exec(measured) ?? []
  if (value === undefined || date === undefined || Number.isNaN(Date.parse(date)))
    return 'expected what was measured, a comma and the date as 2026-01-31'
  if (value !== 'holds' && !FIGURE.test(value)) return `expected holds or a figure, found ${value}`
  return { promise, file, name, measured: value, date }
}

/** @param {string} line */
function cellsOf(line) {
  return line
    .trim()
    .replace(/^\||\|$/g, '')
    .split(/(?<!\\)\|/)
    .map(cell => cell.trim().replaceAll('\\|', '|'))
}
