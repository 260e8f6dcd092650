// What is measured: each workload with its unit, the ways that it is measured on, and how one run of it goes.

import { realClock, sleepWith } from '../src/platform/clock.ts'
import { ownBytes } from './cpu.ts'
import type { BenchOptions } from './options.ts'
import type { Path } from './paths.ts'
import { copyOut, type PgbenchRun, selectOnly } from './pgbench.ts'
import type { Order } from './raw/guest.ts'
import type { RawLoad } from './raw/processes.ts'
import type { RawPath, RawStage } from './raw/routers.ts'
import type { Measured } from './sample.ts'

/** The part of a path that every measurement needs. */
export type Way = Pick<Path, 'name' | 'router'>

export interface Workload {
  readonly name: string
  readonly unit: string
  readonly isLowerBetter: boolean
  /** What CPU time is counted for: 100,000 operations, or a gigabyte. */
  readonly cpuUnit: string
  /** How often; undefined: as often as the options say. */
  readonly rounds: number | undefined
  readonly ways: readonly Way[]
  run(way: Way): Promise<Measured>
}

/** What every pgbench run shares. */
export type Surroundings = Pick<PgbenchRun, 'binDir' | 'scratch' | 'signal'>

export interface Stages {
  readonly sql: readonly Path[]
  readonly raw: RawStage | undefined
  readonly around: Surroundings
}

/** Groups of workloads that can be chosen. */
export const GROUPS = ['idle', 'cut', 'select', 'tls', 'copy', 'echo', 'bulk', 'connects'] as const
export type Group = (typeof GROUPS)[number]

/** Is it measured between two processes of ours, without a server? */
export function isRaw(group: Group): boolean {
  return ['idle', 'cut', 'echo', 'bulk', 'connects'].includes(group)
}

const SETTLE_MS = 1500
const IDLE = [2000, 9000]
const CUT = 5000
const QUICK_SESSIONS = 200

/** All workloads that the options ask for, in the order in which they run: memory first, while the routers are fresh. */
export function workloads(stages: Stages, options: BenchOptions): readonly Workload[] {
  const { groups } = options
  return GROUPS.filter(group => groups.includes(group)).flatMap(group => made(group, stages, options))
}

function made(group: Group, { sql, raw, around }: Stages, options: BenchOptions): readonly Workload[] {
  const { clients, durationSeconds } = options
  const select = (count: number, sslmode: string, ways: readonly Path[], name: string): Workload => ({
    ...perSecond(name, 'TPS', ways),
    run: async way => {
      const { target } = find(ways, way)
      const run = { ...around, target, sslmode, clients: count, durationSeconds }
      const { tps, transactions, latenciesUs } = await selectOnly(run)
      return { value: tps, operations: transactions / 100_000, latenciesUs }
    },
  })
  if (group === 'select')
    return clients.map(count => select(count, 'disable', sql, `select, ${count} clients`))
  if (group === 'tls') {
    const ways = sql.filter(({ name }) => name !== 'pgbouncer')
    return [select(8, 'require', ways, 'select in TLS, 8 clients')]
  }
  if (group === 'copy') return [copy(sql, around, durationSeconds)]
  if (raw === undefined) return []
  if (group === 'echo')
    return [1, 32].map(count =>
      rawRate(raw, `echo, ${count} sessions`, 'op/s', {
        kind: 'echo',
        clients: count,
        seconds: durationSeconds,
      }),
    )
  if (group === 'connects')
    return [
      rawRate(raw, 'connects, 8 at a time', 'conn/s', {
        kind: 'connects',
        clients: 8,
        seconds: durationSeconds,
      }),
    ]
  if (group === 'bulk') return (['down', 'up'] as const).map(kind => bulk(raw, kind, durationSeconds))
  if (group === 'idle') return (options.isQuick ? [QUICK_SESSIONS] : IDLE).map(count => idle(raw, count))
  return [cut(raw, options.isQuick ? QUICK_SESSIONS : CUT)]
}

function perSecond(name: string, unit: string, ways: readonly Way[]): Omit<Workload, 'run'> {
  return { name, unit, ways, isLowerBetter: false, cpuUnit: 's/100k', rounds: undefined }
}

function rawRate({ load, paths }: RawStage, name: string, unit: string, order: Order): Workload {
  return {
    ...perSecond(name, unit, paths),
    run: async way => {
      const { operations, seconds, latenciesUs } = await load.do(order, find(paths, way).target)
      return { value: operations / seconds, operations: operations / 100_000, latenciesUs }
    },
  }
}

function bulk({ load, paths }: RawStage, kind: 'down' | 'up', seconds: number): Workload {
  return {
    ...perSecond(`bulk ${kind}`, 'MB/s', paths),
    cpuUnit: 's/GB',
    run: async way => {
      const answer = await load.do({ kind, seconds }, find(paths, way).target)
      const bytes = answer.operations
      return { value: bytes / answer.seconds / 1e6, operations: bytes / 1e9, latenciesUs: [] }
    },
  }
}

function copy(ways: readonly Path[], around: Surroundings, seconds: number): Workload {
  return {
    ...perSecond('COPY out', 'MB/s', ways),
    cpuUnit: 's/GB',
    run: async way => {
      const { bytes, tookSeconds } = await copyOut({ ...around, target: find(ways, way).target }, seconds)
      return { value: bytes / tookSeconds / 1e6, operations: bytes / 1e9, latenciesUs: [] }
    },
  }
}

/** What a router's process grows by for each session that does nothing. Only fresh routers tell, so it runs once. */
function idle({ load, paths }: RawStage, clients: number): Workload {
  return {
    ...perSecond(`memory of ${clients} idle sessions`, 'bytes/session', routed(paths)),
    isLowerBetter: true,
    rounds: 1,
    run: async way => {
      const { target, router } = find(paths, way)
      if (router === undefined) throw new Error('no router')
      const before = await base(router.pid)
      await load.do({ kind: 'open', clients }, target)
      await sleepWith(realClock, SETTLE_MS)
      const after = await ownBytes(router.pid)
      await drop(load, target)
      return { value: (after - before) / clients, operations: Number.NaN, latenciesUs: [] }
    },
  }
}

/** Memory before the first session; later counts are compared with the same base, since freed memory is used again. */
const bases = new Map<number, number>()

async function base(pid: number): Promise<number> {
  const known = bases.get(pid) ?? (await ownBytes(pid))
  bases.set(pid, known)
  return known
}

/** From the answer that marks the server down for this router to the end of the last session, as the clients see it. */
function cut({ load, paths }: RawStage, clients: number): Workload {
  return {
    ...perSecond(`cut of ${clients} sessions`, 'ms', routed(paths)),
    isLowerBetter: true,
    rounds: 3,
    run: async way => {
      const { target } = find(paths, way)
      await load.do({ kind: 'open', clients }, target)
      await sleepWith(realClock, SETTLE_MS)
      const downAtMs = await load.markDown(way.name)
      const { lastEndMs } = await load.do({ kind: 'closed' }, target)
      await load.markUp(way.name, target)
      if (lastEndMs < downAtMs) throw new Error(`${way.name}: the sessions ended before the server was down`)
      return { value: lastEndMs - downAtMs, operations: Number.NaN, latenciesUs: [] }
    },
  }
}

async function drop(load: RawLoad, target: RawPath['target']): Promise<void> {
  await load.do({ kind: 'drop' }, target)
  await sleepWith(realClock, SETTLE_MS)
}

function routed(paths: readonly RawPath[]): readonly RawPath[] {
  return paths.filter(({ router }) => router !== undefined)
}

function find<P extends Way>(paths: readonly P[], { name }: Way): P {
  const found = paths.find(path => path.name === name)
  if (found === undefined) throw new Error(`no path ${name}`)
  return found
}
