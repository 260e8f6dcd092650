// The tables that are run against both programs have a row for everything that docs/contracts says: one that is missing is named.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import test from 'node:test'
import { COMMANDS_ELSEWHERE, gaps, OPTIONS_ELSEWHERE } from '../../support/ctl-coverage.ts'
import { actionRows } from '../../support/rest-actions.ts'
import { refusalRows } from '../../support/rest-refusals.ts'
import { restDocuments, restMetrics, restRows } from '../../support/rest-table.ts'
import { mayName } from '../docs/literals.ts'

const page = (name: string) =>
  readFileSync(path.resolve(import.meta.dirname, '../../../docs/contracts', name), 'utf8')

function section(text: string, heading: string): string {
  const from = text.indexOf(`\n## ${heading}\n`)
  assert.ok(from >= 0, heading)
  const to = text.indexOf('\n## ', from + 1)
  return text.slice(from, to < 0 ? undefined : to)
}

const codesIn = (text: string) => [...text.matchAll(/`([^`]+)`/g)].map(([, word = '']) => word)

test('every path of a health check has a row', () => {
  const cells = section(page('rest.md'), 'Health checks')
    .split('\n')
    .filter(line => line.startsWith('| `'))
    .map(line => line.split('|')[1] ?? '')
  const paths = cells.flatMap(codesIn)
  assert.ok(paths.length > 15)
  const rows = restRows.map(({ request }) => request)
  assert.deepEqual(
    paths.filter(each => !rows.includes(each)),
    [],
  )
  for (const query of ['lag=', 'replication_state=', 'tag_'])
    assert.ok(
      rows.some(row => row.includes(query)),
      query,
    )
})

test('every document has a row', () => {
  const rows = restDocuments.map(([target]) => target)
  for (const target of [
    'patroni',
    'cluster',
    'config',
    'history',
    'failsafe',
    'metrics',
    'liveness',
    'readiness',
  ])
    for (const row of [`/${target}`, `/${target}/x`])
      if (row !== '/readiness/x') assert.ok(rows.includes(row), row)
  for (const query of ['lag=', 'mode=write', 'mode=apply'])
    assert.ok(
      rows.some(row => row.startsWith('/readiness?') && row.includes(query)),
      query,
    )
})

test('every call that changes something has a row', () => {
  const actions = section(page('rest.md'), 'Actions')
  const calls = codesIn(actions).filter(word => /^(?:POST|PUT|PATCH|DELETE) \//.test(word))
  const rows = new Set(actionRows.map(({ call }) => call))
  assert.ok(calls.length > 10)
  assert.deepEqual(
    [...new Set(calls)].filter(call => !rows.has(call)),
    [],
  )
})

/** Codes that a single call cannot bring about: tests of their own in the same files, run against both. */
const CODES_ELSEWHERE: Readonly<Record<string, string>> = {
  'PATCH /config 200': 'PATCH /config merges, keeps what has the same text, and null removes',
  'PATCH /config 409': 'of several PATCHes at the same moment one is 200, and who was slower 409',
  'PATCH /config 503': 'without the config key GET /config is 502 and PATCH /config 503',
  'PUT /config 200': 'PUT /config replaces the whole and echoes it',
  'PUT /config 502': 'PUT /config is 502 while etcd does not answer',
  'POST /restart 200': 'a changed parameter is pending until POST /restart, on the replica and on the leader',
  'POST /restart 500': 'while paused nothing is scheduled, and a switchover needs a candidate',
  'POST /reinitialize 200': 'POST /reinitialize copies the leader afresh into a replica',
  'DELETE /switchover 200': 'a scheduled switchover is told by /cluster and taken back by any member',
  'DELETE /switchover 409':
    'of several DELETE /switchover at the same moment one is 200, and who was slower 409',
}

test('every code of a call that changes something has a row, or a test of its own', () => {
  const actions = section(page('rest.md'), 'Actions')
  const lines = actions.split('\n').filter(line => /^\| `(?:PATCH|PUT|POST|DELETE) /.test(line))
  const wanted = lines.flatMap(line => {
    const [, call = '', , answers = ''] = line.split('|')
    // `POST /citus`, `/mpp`, `/sigterm` answer alike.
    const [first = ''] = codesIn(call)
    const codes = answers.match(/\b[2-5]\d\d\b/g) ?? []
    return call.includes(',') ? [] : [...new Set(codes)].map(code => `${first} ${code}`)
  })
  const drop = actions.slice(actions.indexOf('`DELETE /switchover` takes')).split('\n')[0] ?? ''
  wanted.push(...(drop.match(/\b[2-5]\d\d\b/g) ?? []).map(code => `DELETE /switchover ${code}`))
  const rows: readonly { readonly call: string; readonly code: number }[] = [
    ...actionRows,
    ...Object.values(refusalRows).flat(),
  ]
  const has = new Set(rows.map(({ call, code }) => `${call} ${code}`))
  assert.ok(wanted.length > 20, wanted.join(', '))
  assert.deepEqual(
    wanted.filter(each => !has.has(each) && !(each in CODES_ELSEWHERE)),
    [],
  )
  const files = ['rest-actions.ts', 'rest-refusals.ts'].map(name =>
    readFileSync(path.resolve(import.meta.dirname, '../../support', name), 'utf8'),
  )
  for (const name of Object.values(CODES_ELSEWHERE))
    assert.ok(
      files.some(file => file.includes(`: ${name}\``)),
      name,
    )
})

test('every metric of Patroni that we have is in the table', () => {
  const source = readFileSync(path.resolve(import.meta.dirname, '../../../src/api/metrics.ts'), 'utf8')
  const names = new Set([...source.matchAll(/'(patroni_\w+)'/g)].map(([, name = '']) => name))
  assert.deepEqual([...names].sort(), restMetrics.map(([name]) => name).sort())
})

/** Only ours has them. */
const OWN = ['dcs', 'explain', 'events', 'top', 'proxy', 'completion']

test('every command of patronictl has a row, and so has each of its options', () => {
  const lines = section(page('ctl.md'), 'Commands')
    .split('\n')
    .filter(line => line.startsWith('| `'))
  const missing: string[] = []
  for (const line of lines) {
    const words = codesIn(line.split('|')[1] ?? '')
    const commands = words.filter(word => !word.startsWith('-')).map(word => word.split(' ')[0] ?? '')
    const options = words
      .flatMap(word => word.split(' '))
      .filter(word => word.startsWith('-'))
      // Ours on every command that has something to wait for; patronictl's are in the rows.
      .filter(word => word !== '--wait' || ['pause', 'reinit'].includes(commands[0] ?? ''))
    if (OWN.includes(commands[0] ?? '')) continue
    for (const command of commands)
      missing.push(
        ...gaps(
          command,
          options.map(option => [option]),
        ),
      )
  }
  assert.ok(lines.length > 15)
  assert.deepEqual(missing, [])
})

test('what has no row is shown by a test that exists', () => {
  for (const { file, test: name } of Object.values({ ...OPTIONS_ELSEWHERE, ...COMMANDS_ELSEWHERE })) {
    const place = path.resolve(import.meta.dirname, '../../..', file)
    assert.ok(mayName(place, name), `${file} has no test "${name}"`)
  }
})
