// The runs as Markdown for people and as JSON.

import { mkdir, writeFile } from 'node:fs/promises'
import { cpus, release } from 'node:os'
import path from 'node:path'
import { version } from '../../src/platform/version.ts'
import { percentile } from '../statistics.ts'
import { type FaultKind, TITLES } from './faults.ts'
import type { Run } from './run.ts'

/** A dash alone would look like something that was not measured. */
const NOTE =
  'Phases and cuts exist only where a leader is retired, so not for a postmaster that is restarted in place; sessions that had ended with their server are not cut.'

/** One line for each fault, with the middle and the 95th of a hundred of each figure; times in seconds, cuts in milliseconds. */
export function printFailovers(runs: readonly Run[], kinds: readonly FaultKind[]): string {
  const head = [
    'fault',
    'runs',
    'back, p50/p95 s',
    'stall, p50/p95 s',
    'sessions cut, p50/p95',
    'cut, p50/p95 ms',
    'phases, p50/p95 s',
  ]
  const rows = kinds.map(kind => {
    const own = runs.filter(run => run.kind === kind)
    const cuts = own.flatMap(({ cut }) => (cut === undefined ? [] : [cut]))
    return [
      TITLES[kind],
      String(own.length),
      inSeconds(own.map(({ backMs }) => backMs)),
      inSeconds(own.map(({ stallMs }) => stallMs)),
      halves(
        cuts.map(({ sessions }) => sessions),
        0,
      ),
      halves(
        cuts.map(({ ms }) => ms),
        1,
      ),
      phases(own),
    ]
  })
  const { cpus: count, cpu, kernel } = thisMachine()
  const machine = `${count} CPUs (${cpu}), kernel ${kernel}`
  const title = `pgherd ${version}, ${new Date().toISOString().slice(0, 10)}; ${machine}`
  const lines = [head, head.map(() => '---'), ...rows].map(cells => `| ${cells.join(' | ')} |`)
  return [title, '', ...lines, '', NOTE].join('\n')
}

function inSeconds(valuesMs: readonly number[]): string {
  return halves(
    valuesMs.map(ms => ms / 1000),
    2,
  )
}

function halves(values: readonly number[], digits: number): string {
  if (values.length === 0) return '-'
  return [0.5, 0.95].map(share => percentile(values, share).toFixed(digits)).join(' / ')
}

function phases(runs: readonly Run[]): string {
  const told = runs.flatMap(run => (run.phases === undefined ? [] : [run.phases]))
  const names = [...new Set(told.flatMap(facts => Object.keys(facts)))].filter(name =>
    /^(last|lock|promote|routed)/.test(name),
  )
  if (names.length === 0) return '-'
  return names
    .map(name => {
      const all = told.flatMap(facts => facts[name] ?? [])
      return `${name.replaceAll('_', ' ')} ${halves(all, 2)}`
    })
    .join(', ')
}

function thisMachine(): { readonly cpus: number; readonly cpu: string; readonly kernel: string } {
  const processors = cpus()
  return { cpus: processors.length, cpu: processors[0]?.model ?? 'unknown', kernel: release() }
}

/** Writes every run and resolves to the path. */
export async function storeRuns(runs: readonly Run[], directory: string): Promise<string> {
  await mkdir(directory, { recursive: true })
  const at = new Date().toISOString()
  const file = path.join(directory, `failover-${at.slice(0, 19).replaceAll(':', '')}.json`)
  await writeFile(file, `${JSON.stringify({ at, version, machine: thisMachine(), runs }, undefined, 1)}\n`)
  return file
}
