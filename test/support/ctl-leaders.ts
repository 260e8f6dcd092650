// Switchovers and failovers that succeed, by patronictl 3.0.2 and by ours on the same real cluster: what they ask, say and show
// is compared, tables column by column.

import assert from 'node:assert/strict'
import test from 'node:test'
import type { Cluster } from '../../src/demo/cluster.ts'
import { timeless } from './ctl-table.ts'
import { runProgram } from './run-program.ts'

/** One hand-over in words that do not depend on who led before. */
interface HandOver {
  /** Everything but the tables: questions, and the sentence about the outcome. */
  readonly says: string
  readonly before: readonly (readonly string[])[]
  readonly after: readonly (readonly string[])[]
}

/** Declares the tests. The cluster has a leader and a replica, and changes its leader with each. */
export function testCtlLeaders(
  cluster: Cluster,
  program: readonly string[],
  keeper: 'pgherd' | 'patroni',
): void {
  const called = keeper === 'pgherd' ? 'pgherd' : 'Patroni 3.0.2'
  for (const command of ['switchover', 'failover'] as const) {
    test(`on ${called} patronictl 3.0.2 and ours agree on a ${command} that succeeds, question by question and column by column`, async () => {
      const theirs = await handOver(cluster, ['patronictl'], command)
      const ours = await handOver(cluster, [...program, 'ctl'], command)
      assert.match(ours.says, /Successfully (switch|fail)ed over to "NEW"$/)
      // The older one names the leader in a failover, which makes it a switchover since 4.0.
      const isRenamed = keeper === 'pgherd' && command === 'failover'
      const says = isRenamed ? theirs.says.replace('switched over', 'failed over') : theirs.says
      assert.deepEqual(ours, { ...theirs, says })
    })
  }
}

async function handOver(
  cluster: Cluster,
  tool: readonly string[],
  command: 'switchover' | 'failover',
): Promise<HandOver> {
  await cluster.complete()
  const old = await cluster.leader()
  const [next] = await cluster.replicas()
  assert.ok(next)
  const input = command === 'switchover' ? `\n${next.name}\n\ny\n` : `${next.name}\ny\n`
  const ran = await runProgram([...tool, '-c', old.configFile, command], { input })
  assert.equal(ran.code, 0, ran.stdout + ran.stderr)
  const leader = await cluster.leader({ not: [old] })
  assert.equal(leader.name, next.name)
  const words: Readonly<Record<string, string>> = {
    [old.name]: 'OLD',
    [next.name]: 'NEW',
    [old.host.address]: 'OLD-HOST',
    [next.host.address]: 'NEW-HOST',
  }
  const named = (text: string) => text.replace(/[\w.]+/g, word => words[word] ?? word)
  const lines = ran.stdout.split('\n')
  const isTable = (line: string) => /^[+|]/.test(line)
  const says = lines.filter(line => !isTable(line)).map(line => named(timeless(line)))
  const [before, after, ...others] = tablesOf(lines.filter(isTable).map(named))
  assert.ok(before && after && others.length === 0, ran.stdout)
  return {
    says: says.join('\n').trimEnd(),
    before: columns(before, ['Member', 'Host', 'Role', 'State', 'TL']).map(row => relative(row, before)),
    // What state the members are in a moment later, and on which timeline, they write with turns of their own.
    after: columns(after, ['Member', 'Host', 'Role']),
  }
}

/** A cluster that is complete has one timeline, and the older program does not know that a standby streams. */
function relative(row: readonly string[], [titles = [], first = []]: readonly (readonly string[])[]) {
  const timeline = first[titles.indexOf('TL')]
  return row.map((cell, index) =>
    index === 4 && cell === timeline ? 'TL' : cell === 'streaming' ? 'running' : cell,
  )
}

/** The cells of each table, its titles first. A table begins with the line after a frame that has the title in it. */
function tablesOf(lines: readonly string[]): readonly (readonly (readonly string[])[])[] {
  const tables: string[][][] = []
  for (const line of lines) {
    if (line.startsWith('+')) continue
    const cells = line
      .slice(1, -1)
      .split('|')
      .map(cell => cell.trim())
    if (cells.includes('Member')) tables.push([])
    tables.at(-1)?.push(cells)
  }
  return tables
}

/** These columns of each row, sorted: which member comes first depends on its name. */
function columns(
  [titles = [], ...rows]: readonly (readonly string[])[],
  wanted: readonly string[],
): readonly (readonly string[])[] {
  return rows.map(row => wanted.map(title => row[titles.indexOf(title)] ?? `no ${title}`)).sort()
}
