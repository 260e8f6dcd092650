// The tables that are run against both programs have a row for everything that docs/contracts says: one that is missing is named.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import test from 'node:test'
import { ctlRows } from '../../support/ctl-rows.ts'
import { actionRows } from '../../support/rest-actions.ts'
import { restDocuments, restMetrics, restRows } from '../../support/rest-table.ts'

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
  // A word of the other members alone: failsafe.long.test.ts asks a real one.
  const elsewhere = new Set(['POST /failsafe'])
  assert.deepEqual(
    [...new Set(calls)].filter(call => !rows.has(call) && !elsewhere.has(call)),
    [],
  )
})

test('every metric of Patroni that we have is in the table', () => {
  const source = readFileSync(path.resolve(import.meta.dirname, '../../../src/api/metrics.ts'), 'utf8')
  const names = new Set([...source.matchAll(/'(patroni_\w+)'/g)].map(([, name = '']) => name))
  assert.deepEqual([...names].sort(), restMetrics.map(([name]) => name).sort())
})

/** Only ours has them, or they need a terminal, another store, or a cluster that this one is not. */
const OWN = ['dcs', 'explain', 'events', 'top', 'proxy', 'completion bash']
const ELSEWHERE: Readonly<Record<string, string>> = {
  '--wait': 'ours; ctl-changes.ts and applied.test.ts',
  '-W': 'repeats for ever; looks.test.ts',
  '-w': 'as -W',
  '--any': 'chooses by chance; orders.test.ts',
  '--from-leader': 'since 4.1; documents its only way of ours',
  '--password': 'asks on a terminal; line-terminal.test.ts',
}

/** Commands that no row can run: they make two clusters out of one, or one out of two. */
const COMMANDS_ELSEWHERE: Readonly<Record<string, string>> = {
  'demote-cluster': 'since 4.1; cluster-role.test.ts and standby-cluster.long.test.ts',
  'promote-cluster': 'since 4.1; cluster-role.test.ts and standby-cluster.long.test.ts',
}

test('every command of patronictl has a row, and so has each of its options', () => {
  const lines = section(page('ctl.md'), 'Commands')
    .split('\n')
    .filter(line => line.startsWith('| `'))
  const missing: string[] = []
  for (const line of lines) {
    const words = codesIn(line.split('|')[1] ?? '')
    const commands = words.filter(word => !word.startsWith('-')).map(word => word.split(' ')[0] ?? '')
    const options = words.filter(word => word.startsWith('-')).flatMap(word => word.split(' '))
    if (OWN.some(own => commands[0] === own.split(' ')[0])) continue
    for (const command of commands.filter(each => !(each in COMMANDS_ELSEWHERE))) {
      const rows = ctlRows.filter(({ words: [first] }) => first === command)
      if (rows.length === 0) missing.push(command)
      for (const option of options.filter(each => each.startsWith('-') && !(each in ELSEWHERE)))
        if (!rows.some(row => row.words.includes(option))) missing.push(`${command} ${option}`)
    }
  }
  assert.ok(lines.length > 15)
  assert.deepEqual(missing, [])
})
