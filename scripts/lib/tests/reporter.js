// A reporter for Node's test runner: one JSON line an event, for the script that runs many files and sums them up.

import path from 'node:path'
import { inspect } from 'node:util'

/** The runner's own totals come as diagnostics too; they are counted here from the events instead. */
const TOTALS = /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) [\d.]+$/

/**
 * @param {AsyncIterable<{ type: string, data: any }>} source the runner's events
 */
// biome-ignore lint/style/noDefaultExport: Node loads a reporter by its default export
export default async function* reporter(source) {
  for await (const { type, data } of source) {
    const record = toRecord(type, data)
    if (record !== undefined) yield `${JSON.stringify(record)}\n`
  }
}

/**
 * @param {string} type
 * @param {any} data
 */
function toRecord(type, data) {
  // Not `test:start`: that comes only when the test's turn to be reported has come, for a hanging test never.
  if (type === 'test:dequeue' && data.type !== 'suite')
    return { event: 'start', name: data.name, nesting: data.nesting }
  if (type === 'test:diagnostic') {
    return TOTALS.test(data.message) ? undefined : { event: 'note', text: data.message }
  }
  if ((type !== 'test:pass' && type !== 'test:fail') || data.details?.type === 'suite') return undefined
  return {
    event: 'result',
    file: data.file === undefined ? undefined : path.relative(process.cwd(), data.file),
    name: data.name,
    nesting: data.nesting,
    result: resultOf(type, data),
    reason: typeof data.skip === 'string' ? data.skip : undefined,
    durationMs: Math.round(data.details?.duration_ms ?? 0),
    error: type === 'test:fail' ? inspect(data.details?.error?.cause ?? data.details?.error) : undefined,
  }
}

/**
 * @param {string} type
 * @param {any} data
 */
function resultOf(type, data) {
  if (data.skip !== undefined) return 'skipped'
  if (data.todo !== undefined) return 'todo'
  if (type === 'test:pass') return 'passed'
  return data.details?.error?.failureType === 'cancelledByParent' ? 'cancelled' : 'failed'
}
