// The result as Markdown for people and as JSON for the next run. No host names, no user names.

import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { cpus, release, totalmem } from 'node:os'
import path from 'node:path'
import { runChild } from '../src/platform/child.ts'
import { realClock } from '../src/platform/clock.ts'
import { Deadline } from '../src/platform/deadline.ts'
import { version } from '../src/platform/version.ts'
import type { Sample } from './measure.ts'
import type { BenchOptions } from './options.ts'
import { type Figures, summarize } from './summary.ts'

/** What is stored. */
export interface BenchResult {
  readonly at: string
  readonly versions: Readonly<Record<string, string>>
  readonly machine: Readonly<Record<string, string | number>>
  readonly options: Omit<BenchOptions, 'out'>
  readonly figures: readonly Figures[]
  readonly samples: readonly Sample[]
}

const VERSION_WITHIN_MS = 5_000
const GIGABYTE = 2 ** 30

/** Puts everything together. `binDir` holds the server's tools. */
export async function makeResult(
  samples: readonly Sample[],
  { out: _out, ...options }: BenchOptions,
  binDir: string,
): Promise<BenchResult> {
  const versions = {
    pgherd: version,
    node: process.versions.node,
    postgres: await versionOf(path.join(binDir, 'postgres'), ['--version']),
    haproxy: await versionOf('haproxy', ['-v']),
    pgbouncer: await versionOf('pgbouncer', ['--version']),
  }
  const processors = cpus()
  const machine = {
    cpus: processors.length,
    cpu: processors[0]?.model ?? 'unknown',
    memoryGb: Math.round(totalmem() / GIGABYTE),
    kernel: release(),
  }
  return { at: new Date().toISOString(), versions, machine, options, figures: summarize(samples), samples }
}

/** Writes the JSON file and resolves to its path. */
export async function storeResult(result: BenchResult, directory: string): Promise<string> {
  await mkdir(directory, { recursive: true })
  const file = path.join(directory, `${result.at.slice(0, 19).replaceAll(':', '')}.json`)
  await writeFile(file, `${JSON.stringify(result, undefined, 1)}\n`)
  return file
}

/** The latest result in `directory`, or undefined. */
export async function latestResult(directory: string): Promise<BenchResult | undefined> {
  const files = (await readdir(directory).catch(() => [])).filter(file => file.endsWith('.json')).sort()
  const latest = files.at(-1)
  if (latest === undefined) return undefined
  return JSON.parse(await readFile(path.join(directory, latest), 'utf8')) as BenchResult
}

/** The tables, one for each number of clients; beside them what the ratio was in the `last` result. */
export function printReport(result: BenchResult, last?: BenchResult): string {
  const { machine, versions, options } = result
  const head = [
    `pgbench -S -M prepared, scale ${options.scale}, ${options.rounds} interleaved rounds of ${options.durationSeconds} s`,
    `${result.at.slice(0, 10)}; ${machine['cpus']} CPUs (${machine['cpu']}), kernel ${machine['kernel']}`,
    Object.entries(versions)
      .map(([name, text]) => `${name} ${text}`)
      .join(', '),
  ]
  const tables = options.clients.map(clients => table(result.figures, clients, last))
  return `${[head.join('  \n'), ...tables].join('\n\n')}\n`
}

function table(all: readonly Figures[], clients: number, last: BenchResult | undefined): string {
  const then = last === undefined ? [] : [`x HAProxy on ${last.at.slice(0, 10)}`]
  const columns = ['TPS', 'spread', 'x direct', 'x HAProxy', ...then, 'p50/p95/p99 us', 'router CPU s/100k']
  const title = `${clients} ${clients === 1 ? 'client' : 'clients'}`
  const rows = all
    .filter(figures => figures.clients === clients)
    .map(figures => {
      const before = last?.figures.find(old => old.path === figures.path && old.clients === clients)
      const old = last === undefined ? [] : [before === undefined ? '-' : before.toHaproxy.toFixed(2)]
      return [
        figures.path,
        String(Math.round(figures.tps)),
        `± ${Math.round(figures.spread * 100)} %`,
        figures.toDirect.toFixed(2),
        figures.toHaproxy.toFixed(2),
        ...old,
        [figures.p50Us, figures.p95Us, figures.p99Us].join('/'),
        figures.path === 'direct' ? '-' : figures.routerCpuPer100k.toFixed(2),
      ]
    })
  return [[title, ...columns], [title, ...columns].map(() => '---'), ...rows]
    .map(cells => `| ${cells.join(' | ')} |`)
    .join('\n')
}

async function versionOf(program: string, args: readonly string[]): Promise<string> {
  const env = { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin` }
  const { stdout } = await runChild(program, args, { by: Deadline.in(realClock, VERSION_WITHIN_MS), env })
  return /\d+(\.\d+)+/.exec(stdout)?.[0] ?? 'unknown'
}
