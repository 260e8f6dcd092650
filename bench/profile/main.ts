// `npm run bench:profile -- WORKLOAD`: where the packed proxy's time goes under one workload of the raw load, for a goal that is
// missed. Measures undisturbed, then with perf on the proxy's process, then with strace; writes text that can be kept.

import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { cpus, release } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { findProgram } from '../../scripts/lib/paths.js'
import { runChild } from '../../src/platform/child.ts'
import { realClock, sleepWith } from '../../src/platform/clock.ts'
import { Deadline } from '../../src/platform/deadline.ts'
import { version } from '../../src/platform/version.ts'
import type { RawLoad, Target } from '../raw/processes.ts'
import { openRaw } from '../raw/routers.ts'
import { onStage, type Stage, tell } from '../stage.ts'
import { HELP, type ProfileOptions, readOptions } from './options.ts'
import { printWork, shortened, topSymbols, type Work } from './text.ts'

const SCRIPT = fileURLToPath(import.meta.url)
const RESULTS = path.join(import.meta.dirname, '..', 'results')
const PROXY = 'pgherd, handles'
const CLIENTS = 8
const CUT = 5000
const TOP = 40
/** A cut is short: fewer would be too few. */
const SAMPLES_PER_SECOND = { connects: 999, echo: 999, cut: 3999 }
/** Until a tool has attached itself, or new sessions are quiet. */
const SETTLE_MS = 1500
const TOOL_WITHIN_MS = 300_000

/** What is watched: the proxy's process under a load. */
interface Scene extends Stage {
  readonly options: ProfileOptions
  readonly load: RawLoad
  readonly target: Target
  readonly pid: number
}

await onStage(SCRIPT, readOptions, HELP, profile)

async function profile(options: ProfileOptions, stage: Stage): Promise<void> {
  // Node then writes down the names of compiled functions where perf looks for them.
  const program = ['env', 'NODE_OPTIONS=--perf-basic-prof', ...stage.place.program]
  const { load, paths } = await openRaw(stage.layout, program, 1, [PROXY])
  const proxy = paths.find(({ name }) => name === PROXY)
  if (proxy?.router === undefined) throw new Error('the proxy is missing')
  const { pid } = proxy.router
  const scene = { ...stage, options, load, target: proxy.target, pid }
  try {
    await watch(scene)
    tell(`${options.workload}: undisturbed, then with perf, then with strace`)
    const parts = [head(options, await watch(scene)), await withPerf(scene), await withStrace(scene)]
    await mkdir(RESULTS, { recursive: true })
    const file = path.join(RESULTS, `profile-${options.workload}.txt`)
    await writeFile(file, `${parts.join('\n\n')}\n`)
    process.stdout.write(`${parts.join('\n\n')}\n`)
    tell(`the profile is in ${path.relative(process.cwd(), file)}`)
  } finally {
    load.stop()
    await rm(`/tmp/perf-${pid}.map`, { force: true })
  }
}

function head({ workload }: ProfileOptions, plain: Work): string {
  const what = workload === 'cut' ? `cut of ${CUT} sessions` : `${workload}, ${CLIENTS} sessions at a time`
  const versions = `pgherd ${version}, node ${process.versions.node} with --perf-basic-prof, kernel ${release()}`
  return [
    `${what}, through ${PROXY}`,
    `${new Date().toISOString().slice(0, 10)}; ${versions}; ${cpus().length} CPUs (${cpus()[0]?.model ?? 'unknown'})`,
    `undisturbed: ${printWork(plain)}`,
  ].join('\n')
}

async function withPerf(scene: Scene): Promise<string> {
  if (findProgram('perf') === undefined) return missing('perf', 'linux-perf')
  const data = path.join(scene.place.scratch, 'perf.data')
  const rate = String(SAMPLES_PER_SECOND[scene.options.workload])
  const work = await watch(scene, ['perf', 'record', '-F', rate, '-o', data, '-p', `${scene.pid}`])
  // The file with node's names is the proxy's account's, not ours: -f.
  const words = ['report', '-i', data, '-f', '--stdio', '--no-children', '--sort', 'dso,symbol']
  const { stdout, stderr } = await runChild('perf', words, toolOptions(scene))
  const symbols = topSymbols(stdout, TOP)
  const shown = symbols.length > 0 ? symbols : [shortened(`perf has no symbols: ${work.said} ${stderr}`)]
  return `with perf: ${printWork(work)}; where the proxy's processor time goes\n\n${shown.join('\n')}`
}

async function withStrace(scene: Scene): Promise<string> {
  if (findProgram('strace') === undefined) return missing('strace', 'strace')
  const file = path.join(scene.place.scratch, 'strace.txt')
  const work = await watch(scene, ['strace', '-c', '-f', '-o', file, '-p', `${scene.pid}`])
  const table = await readFile(file, 'utf8').catch(() => `strace has no table: ${work.said}`)
  return `with strace: ${printWork(work)}; the proxy's system calls\n\n${shortened(table.trimEnd())}`
}

function missing(program: string, debian: string): string {
  return `${program} is not there (on Debian: apt-get install ${debian}): that part is left out`
}

/** The workload once, with a tool at the proxy's process from its beginning to its end; `said`: what the tool complained of. */
async function watch(scene: Scene, tool?: readonly string[]): Promise<Work & { readonly said: string }> {
  const { options, load, target } = scene
  const { workload: kind, seconds } = options
  if (kind === 'cut') {
    await load.do({ kind: 'open', clients: CUT }, target)
    await sleepWith(realClock, SETTLE_MS, scene.signal)
  }
  const detach = tool === undefined ? undefined : await attach(tool, scene)
  const work = kind === 'cut' ? await cut(scene) : await load.do({ kind, clients: CLIENTS, seconds }, target)
  const said = (await detach?.()) ?? ''
  if (kind === 'cut') await load.markUp(PROXY, target)
  return { operations: work.operations, seconds: work.seconds, said }
}

async function cut({ load, target }: Scene): Promise<Work> {
  const downAtMs = await load.markDown(PROXY)
  const { lastEndMs } = await load.do({ kind: 'closed' }, target)
  return { operations: CUT, seconds: (lastEndMs - downAtMs) / 1000 }
}

/** Resolves when the tool has attached itself, to what ends it and resolves to what it said. */
async function attach(
  [program = '', ...words]: readonly string[],
  scene: Scene,
): Promise<() => Promise<string>> {
  let pid: number | undefined
  const onStart = (started: number) => {
    pid = started
  }
  const ended = runChild(program, words, { ...toolOptions(scene), onStart }).finally(() => {
    pid = undefined
  })
  await Promise.race([sleepWith(realClock, SETTLE_MS, scene.signal), ended])
  return async () => {
    if (pid !== undefined) process.kill(pid, 'SIGINT')
    return (await ended).stderr.trim()
  }
}

function toolOptions({ signal }: Scene): { readonly by: Deadline; readonly signal: AbortSignal } {
  return { by: Deadline.in(realClock, TOOL_WITHIN_MS), signal }
}
