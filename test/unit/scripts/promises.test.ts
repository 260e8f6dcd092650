import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import test from 'node:test'
import { checkPromises, promisesOfRun, readPromises } from '../../../scripts/lib/tests/promises.js'

const page = `# Promises

| Promise | Proved by | Last measured |
|---|---|---|
| Writes come back. | \`test/faults/kill.test.ts\` writing comes back | 1.2 s, 2026-11-24 |
| A \\| in a cell is text. | \`test/unit/a.test.ts\` a \\| b | holds, 2026-11-24 |
`
const { rows } = readPromises(page)
const passed = [
  { file: 'test/faults/kill.test.ts', name: 'writing comes back', result: 'passed' },
  { file: 'test/unit/a.test.ts', name: 'a | b', result: 'passed' },
]
const results = (tests: typeof passed) => checkPromises(rows, tests).map(({ result }) => result)

test('a row is a promise, a test and what was measured', () => {
  assert.deepEqual(readPromises(page), {
    problems: [],
    rows: [
      {
        promise: 'Writes come back.',
        file: 'test/faults/kill.test.ts',
        name: 'writing comes back',
        measured: '1.2 s',
        date: '2026-11-24',
      },
      {
        promise: 'A | in a cell is text.',
        file: 'test/unit/a.test.ts',
        name: 'a | b',
        measured: 'holds',
        date: '2026-11-24',
      },
    ],
  })
})

test('promises hold when every named test passed', () => {
  assert.deepEqual(results(passed), ['passed', 'passed'])
})

test('a promise whose test did not run is broken', () => {
  const [only] = passed
  assert.ok(only)
  const [, second] = checkPromises(rows, [only])
  assert.equal(second?.result, 'failed')
  assert.match(second?.error ?? '', /test\/unit\/a\.test\.ts: "a \| b" did not run/)
})

test('a test of the same name in another file proves nothing', () => {
  const moved = passed.map(entry => ({ ...entry, file: 'test/unit/other.test.ts' }))
  assert.deepEqual(results(moved), ['failed', 'failed'])
})

test('a promise whose test was skipped or failed is broken', () => {
  for (const result of ['skipped', 'todo', 'failed', 'cancelled']) {
    const [, second] = passed
    assert.ok(second)
    const run = [{ file: 'test/faults/kill.test.ts', name: 'writing comes back', result }, second]
    assert.deepEqual(results(run), ['failed', 'passed'], result)
  }
})

test('one failing run of a repeated test name breaks the promise', () => {
  const again = { file: 'test/unit/a.test.ts', name: 'a | b', result: 'failed' }
  assert.deepEqual(results([...passed, again]), ['passed', 'failed'])
})

test('a test of the long run must be there in the short run, and have passed in the long one', () => {
  const [row] = rows
  assert.ok(row)
  const long = { ...row, file: 'test/faults/kill.long.test.ts' }
  const result = (tests: typeof passed, isThere: boolean) =>
    checkPromises([long], tests, () => isThere)[0]?.result
  assert.equal(result(passed, true), 'passed')
  assert.equal(result(passed, false), 'failed')
  const other = { file: 'test/faults/other.long.test.ts', name: 'x', result: 'passed' }
  assert.equal(result([...passed, other], true), 'failed')
  assert.equal(result([...passed, { file: long.file, name: long.name, result: 'passed' }], true), 'passed')
  assert.equal(result([...passed, { file: long.file, name: long.name, result: 'failed' }], true), 'failed')
})

test('a row that cannot be read is a problem with its line', () => {
  const table = (row: string) => `| Promise | Proved by | Last measured |\n|---|---|---|\n${row}\n`
  const problem = (row: string) => readPromises(table(row)).problems[0]
  assert.match(problem('| Only a promise. |') ?? '', /^docs\/promises\.md:3: expected \| promise/)
  assert.match(problem('| P. | somewhere | holds, 2026-11-24 |') ?? '', /:3: expected `test/)
  assert.match(problem('| P. | `test/unit/a.test.ts` a | soon |') ?? '', /:3: expected what was measured/)
  assert.match(
    problem('| P. | `test/unit/a.test.ts` a | holds, 2026-31-31 |') ?? '',
    /:3: expected what was measured/,
  )
})

test('the same promise twice and an empty page are problems', () => {
  const row = '| P. | `test/unit/a.test.ts` a | holds, 2026-11-24 |'
  assert.match(readPromises(`${row}\n${row}`).problems[0] ?? '', /:2: the same promise twice/)
  assert.deepEqual(readPromises('# Promises\n').problems, ['docs/promises.md: has no rows'])
})

test('a run of nothing breaks every promise of the page', () => {
  const { tests } = promisesOfRun([])
  assert.ok(tests.length > 0)
  const page = readPromises(readFileSync(path.join(import.meta.dirname, '../../../docs/promises.md'), 'utf8'))
  const long = page.rows.filter(({ file }) => file.endsWith('.long.test.ts'))
  assert.equal(tests.filter(({ result }) => result !== 'failed').length, long.length, 'left to the long run')
})
