// The result as Markdown for people and as JSON for the next run. No host names, no user names.

import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { cpus, release, totalmem } from 'node:os'
import path from 'node:path'
import { runChild } from '../src/platform/child.ts'
import { realClock } from '../src/platform/clock.ts'
import { Deadline } from '../src/platform/deadline.ts'
import { version } from '../src/platform/version.ts'
import { type Labels, printChart, USUAL_PATHS } from './chart.ts'
import { printGoals } from './goals.ts'
import { type BenchOptions, leftOut } from './options.ts'
import type { Sample } from './sample.ts'
import { median } from './statistics.ts'
import { type Figures, summarize } from './summary.ts'
import type { Workload } from './workloads.ts'

/** What is stored. */
export interface BenchResult {
  readonly at: string
  readonly versions: Readonly<Record<string, string>>
  readonly machine: Readonly<Record<string, string | number>>
  readonly options: Omit<BenchOptions, 'out' | 'isStored'>
  /** Of each workload. */
  readonly units: Readonly<Record<string, Pick<Workload, 'unit' | 'cpuUnit' | 'isLowerBetter'>>>
  readonly figures: readonly Figures[]
  readonly samples: readonly Sample[]
}

const VERSION_WITHIN_MS = 5_000
const GIGABYTE = 2 ** 30
/** Named after their time: see storeResult. */
const RESULT = /^\d{4}-.*\.json$/

/** Puts everything together. `binDir` holds the server's tools. */
export async function makeResult(
  samples: readonly Sample[],
  workloads: readonly Workload[],
  { out: _out, isStored: _isStored, ...options }: BenchOptions,
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
  const units = Object.fromEntries(
    workloads.map(({ name, unit, cpuUnit, isLowerBetter }) => [name, { unit, cpuUnit, isLowerBetter }]),
  )
  const at = new Date().toISOString()
  return { at, versions, machine, options, units, figures: summarize(samples), samples }
}

/** Writes the JSON file and resolves to its path. What is not a whole run gets a name that `latestResult` does not see. */
export async function storeResult(result: BenchResult, directory: string): Promise<string> {
  await mkdir(directory, { recursive: true })
  const kind = leftOut(result.options).length === 0 ? '' : 'partial-'
  const file = path.join(directory, `${kind}${result.at.slice(0, 19).replaceAll(':', '')}.json`)
  await writeFile(file, `${JSON.stringify(result, undefined, 1)}\n`)
  return file
}

/** Draws the ratios into a file, of every path unless `labels` chooses. False, and no file, when none was measured. */
export async function storeChart(result: BenchResult, file: string, labels?: Labels): Promise<boolean> {
  const { at, machine, figures, options } = result
  const around = Math.round(median(figures.map(({ spread }) => spread)) * 100)
  const rounds = `${options.rounds} rounds of ${options.durationSeconds} s, spread ${around} %`
  const title = `throughput as a share of the direct way, ${at.slice(0, 10)}, ${machine['cpus']} CPUs, ${rounds}`
  const chart = printChart(figures, title, labels)
  if (chart === undefined) return false
  await writeFile(file, chart)
  return true
}

/** Draws the README's picture from a whole run, and leaves it alone after another. Resolves to what there is to say. */
export async function drawPicture(result: BenchResult, file: string): Promise<string> {
  const name = path.relative(process.cwd(), file)
  const missing = leftOut(result.options)
  if (missing.length > 0)
    return `${name} stays as it was, and no later run is compared with this one: it is a partial run, without ${missing.join(', ')}`
  if (!(await storeChart(result, file, USUAL_PATHS)))
    return `${name} stays as it was: there is nothing to draw`
  return `the picture that README.md shows is drawn anew: ${name}`
}

/** The latest whole run in `directory`, where partial ones and those of failovers lie, too; or undefined. */
export async function latestResult(directory: string): Promise<BenchResult | undefined> {
  const files = (await readdir(directory).catch(() => [])).filter(file => RESULT.test(file)).sort()
  const latest = files.at(-1)
  if (latest === undefined) return undefined
  const result = JSON.parse(await readFile(path.join(directory, latest), 'utf8')) as Partial<BenchResult>
  // A result of an older kind does not compare.
  return result.units === undefined ? undefined : (result as BenchResult)
}

/** The tables, one for each workload, beside them what the ratio was in the `last` result; and one of the goals. */
export function printReport(result: BenchResult, last?: BenchResult): string {
  const { machine, versions, options } = result
  const head = [
    `${options.rounds} interleaved rounds of ${options.durationSeconds} s, pgbench at scale ${options.scale}`,
    `${result.at.slice(0, 10)}; ${machine['cpus']} CPUs (${machine['cpu']}), kernel ${machine['kernel']}`,
    Object.entries(versions)
      .map(([name, text]) => `${name} ${text}`)
      .join(', '),
  ]
  const names = [...new Set(result.figures.map(({ workload }) => workload))]
  const tables = names.map(name => table(result, name, last))
  return `${[head.join('  \n'), ...tables, ...goals(result)].join('\n\n')}\n`
}

function goals({ samples }: BenchResult): readonly string[] {
  const printed = printGoals(samples)
  return printed === undefined ? [] : [printed]
}

function table({ figures, units }: BenchResult, workload: string, last: BenchResult | undefined): string {
  const { unit = '', cpuUnit = '' } = units[workload] ?? {}
  const then = last === undefined ? [] : [`x HAProxy on ${last.at.slice(0, 10)}`]
  const cpu = [`router CPU ${cpuUnit}`, `machine CPU ${cpuUnit}`, 'machine CPU x HAProxy']
  const columns = [
    unit,
    'spread',
    'x direct',
    'x HAProxy',
    ...then,
    'p50/p95/p99 us',
    'p99 x HAProxy',
    ...cpu,
  ]
  const rows = figures
    .filter(figure => figure.workload === workload)
    .map(figure => {
      const before = last?.figures.find(old => old.path === figure.path && old.workload === workload)
      const old = last === undefined ? [] : [number(before?.toHaproxy, 2)]
      const latency = [figure.p50Us, figure.p95Us, figure.p99Us].map(us => number(us, 0))
      return [
        figure.path,
        number(figure.value, 0),
        `± ${Math.round(figure.spread * 100)} %`,
        number(figure.toDirect, 2),
        number(figure.toHaproxy, 2),
        ...old,
        latency[0] === '-' ? '-' : latency.join('/'),
        number(figure.p99ToHaproxy, 2),
        figure.path === 'direct' ? '-' : number(figure.routerCpu, 2),
        number(figure.machineCpu, 2),
        number(figure.cpuToHaproxy, 2),
      ]
    })
  return [[workload, ...columns], [workload, ...columns].map(() => '---'), ...rows]
    .map(cells => `| ${cells.join(' | ')} |`)
    .join('\n')
}

function number(value: number | null | undefined, digits: number): string {
  return value === undefined || value === null || !Number.isFinite(value) ? '-' : value.toFixed(digits)
}

async function versionOf(program: string, args: readonly string[]): Promise<string> {
  const env = { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin` }
  const { stdout } = await runChild(program, args, { by: Deadline.in(realClock, VERSION_WITHIN_MS), env })
  return /\d+(\.\d+)+/.exec(stdout)?.[0] ?? 'unknown'
}
