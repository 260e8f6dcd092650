// Runs one test file in a process of its own, with a deadline, and says what its tests did. Whatever the file started
// and left behind is found, named and killed.

import { spawn } from 'node:child_process'
import {
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { projectNode, root } from '../paths.js'
import { describeProcess, isolation, killUntilGone, processesIn, processesWith } from './isolate.js'
import { isFailure } from './summary.js'

const REPORTER = fileURLToPath(new URL('reporter.js', import.meta.url))
const GRACE_MS = 8_000

/**
 * @typedef {object} TestResult
 * @property {string} name
 * @property {'passed' | 'failed' | 'skipped' | 'todo' | 'cancelled'} result
 * @property {number} durationMs
 * @property {string} [reason] why it was skipped
 * @property {string} [error]
 */

/**
 * @typedef {object} FileResult
 * @property {string} file
 * @property {string} tier
 * @property {readonly TestResult[]} tests
 * @property {readonly string[]} notes figures and remarks that the tests printed
 * @property {number} durationMs
 * @property {string} output what the file printed
 * @property {string} work the file's directory, with the logs of everything it ran
 */

/**
 * @typedef {object} Surroundings
 * @property {string} directory the run's directory
 * @property {{ uid: number, gid: number }} account
 * @property {NodeJS.ProcessEnv} env
 * @property {AbortSignal} signal
 */

/**
 * Runs the file and resolves to its results; a crash, a timeout, an empty file and leftovers are failed tests of their own.
 * @param {import('./tiers.js').Planned} planned
 * @param {Surroundings} surroundings
 * @returns {Promise<FileResult>}
 */
export async function runFile(planned, surroundings) {
  const { tests, ...run } = await runProcess([planned], planned.file, surroundings)
  return { ...run, file: planned.file, tier: planned.tier, tests }
}

/**
 * Deals the files out to a few processes, in each one after the other: for files that leave nothing behind, whose own start
 * would take longer than their tests. What belongs to no file (a crash, leftovers) is a result of the folder.
 * @param {readonly import('./tiers.js').Planned[]} planned of one stage
 * @param {number} processes
 * @param {Surroundings} surroundings
 * @returns {Promise<readonly FileResult[]>}
 */
export async function runTogether(planned, processes, surroundings) {
  const shares = Array.from({ length: processes }, (_, share) =>
    planned.filter((_, index) => index % processes === share),
  )
  const results = await Promise.all(
    shares.map((files, index) => runShare(files, `-${index + 1}`, surroundings)),
  )
  return results.flat()
}

/**
 * @param {readonly import('./tiers.js').Planned[]} planned
 * @param {string} mark behind the folder's name, for a directory of its own
 * @param {Surroundings} surroundings
 * @returns {Promise<readonly FileResult[]>}
 */
async function runShare(planned, mark, surroundings) {
  const [first] = planned
  if (first === undefined) return []
  const folder = path.join('test', first.tier)
  const { tests, ...run } = await runProcess(planned, `${folder}${mark}`, surroundings)
  const results = planned.map(({ file, tier }) => {
    const own = tests.filter(test => test.file === file)
    const found = own.length > 0 ? own : [failure(file, 'has no tests')]
    const durationMs = own.reduce((sum, test) => sum + test.durationMs, 0)
    return { ...run, notes: [], file, tier, tests: found, durationMs }
  })
  const others = tests.filter(test => !planned.some(({ file }) => file === test.file))
  if (others.length === 0 && run.notes.length === 0) return results
  return [...results, { ...run, file: folder, tier: first.tier, tests: others }]
}

/**
 * @param {readonly import('./tiers.js').Planned[]} planned
 * @param {string} name of the file, or of the folder of several
 * @param {Surroundings} surroundings
 * @returns {Promise<Omit<FileResult, 'file' | 'tier' | 'tests'> & { tests: (TestResult & { file?: string })[] }>}
 */
async function runProcess(planned, name, surroundings) {
  const work = makeWorkDirectory(name, surroundings)
  const timeoutSeconds = Math.max(...planned.map(entry => entry.timeoutSeconds))
  const started = performance.now()
  const { namespace, ...ended } = await startAndWait(planned, timeoutSeconds, surroundings, work)
  const durationMs = performance.now() - started
  const { tests, notes, running } = readEvents(path.join(work, 'events'))
  const problems = [
    ...exitProblems(timeoutSeconds, ended, tests, running),
    ...tests
      .filter(test => test.result === 'skipped' && !test.reason)
      .map(test => `skipped without a reason: ${test.name}`),
    ...(await leftovers(work, ended.timedOut || surroundings.signal.aborted || hasCrashed(ended, tests))),
  ]
  namespace.release()
  const failed = problems.map(text => failure(name, text))
  const output = readFileSync(path.join(work, 'output'), 'utf8')
  return { tests: [...tests, ...failed], notes, durationMs, output, work }
}

/**
 * @param {string} file
 * @param {Surroundings} surroundings
 */
function makeWorkDirectory(file, surroundings) {
  const name = file
    .replace(/^test\//, '')
    .replace(/\.test\.ts$/, '')
    .replaceAll('/', '-')
  const work = path.join(surroundings.directory, name)
  for (const part of ['', 'data', 'logs', 'tmp']) {
    mkdirSync(path.join(work, part), { recursive: true })
    chownSync(path.join(work, part), surroundings.account.uid, surroundings.account.gid)
  }
  return work
}

/**
 * @param {readonly import('./tiers.js').Planned[]} planned
 * @param {number} timeoutSeconds
 * @param {Surroundings} surroundings
 * @param {string} work
 * @returns {Promise<{ code: number | null, signal: string | null, timedOut: boolean, namespace: Held }>}
 */
function startAndWait(planned, timeoutSeconds, surroundings, work) {
  const node = [
    ...[projectNode, ...(planned.length > 1 ? ['--test', '--test-isolation=none'] : [])],
    ...['--test-reporter', REPORTER, '--test-reporter-destination', path.join(work, 'events')],
    ...['--test-reporter', 'spec', '--test-reporter-destination', 'stdout'],
    ...planned.map(({ file }) => file),
  ]
  const isolated = planned.some(({ stage }) => stage.isolated)
  const [program = '', ...args] = isolated ? [...isolation(work, surroundings.account), ...node] : node
  const env = {
    ...surroundings.env,
    PGHERD_WORK: work,
    TMPDIR: path.join(work, 'tmp'),
    ...(isolated ? { PGHERD_ISOLATED: '1' } : {}),
  }
  const output = openSync(path.join(work, 'output'), 'w')
  return new Promise((resolve, reject) => {
    // A group of its own: a Ctrl-C at the terminal must reach it through us, once, after which it may clean up.
    const child = spawn(program, args, { cwd: root, env, detached: true, stdio: ['ignore', output, output] })
    const namespace = holdNamespace(work, child.pid)
    let timedOut = false
    const stop = () => {
      child.kill('SIGTERM')
      setTimeout(() => child.kill('SIGKILL'), GRACE_MS).unref()
    }
    const timer = setTimeout(() => {
      timedOut = true
      stop()
    }, timeoutSeconds * 1000)
    surroundings.signal.addEventListener('abort', stop, { once: true })
    child.on('error', reject)
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      surroundings.signal.removeEventListener('abort', stop)
      closeSync(output)
      namespace.ended()
      resolve({ code, signal, timedOut, namespace })
    })
  })
}

const HOLD_EVERY_MS = 20

/** @typedef {{ ended: () => void, release: () => void }} Held */

/**
 * Keeps the file's mount namespace until `release`. The kernel gives the number of a namespace that is gone to the next one:
 * whoever looks for leftovers by that number would find, and kill, the processes of a file that has just begun.
 * @param {string} work
 * @param {number | undefined} pid
 * @returns {Held} `ended` is called when the file's own process has ended
 */
function holdNamespace(work, pid) {
  /** @type {number | undefined} */
  let held
  const note = path.join(work, 'namespace')
  const hold = () => {
    if (held !== undefined || !existsSync(note)) return
    try {
      held = openSync(`/proc/${pid}/ns/mnt`, 'r')
    } catch {
      // It ended too soon: then nothing of it may be looked for by a number.
      rmSync(note, { force: true })
    }
  }
  const timer = setInterval(hold, HOLD_EVERY_MS)
  return {
    ended: () => {
      clearInterval(timer)
      if (held === undefined) rmSync(note, { force: true })
    },
    release: () => {
      if (held !== undefined) closeSync(held)
    },
  }
}

/**
 * @param {string} file
 * @returns {{ tests: (TestResult & { file?: string })[], notes: string[], running: string[] }}
 */
function readEvents(file) {
  /** @type {ReturnType<typeof readEvents>} */
  const seen = { tests: [], notes: [], running: [] }
  if (!existsSync(file)) return seen
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    if (!line.endsWith('}')) continue
    const { event, text, ...test } = JSON.parse(line)
    if (event === 'note') seen.notes.push(text)
    if (event === 'start') seen.running.push(test.name)
    if (event !== 'result') continue
    seen.tests.push(test)
    seen.running = seen.running.filter(name => name !== test.name)
  }
  return seen
}

/**
 * @param {number} timeoutSeconds
 * @param {{ code: number | null, signal: string | null, timedOut: boolean }} ended
 * @param {readonly TestResult[]} tests
 * @param {readonly string[]} running
 * @returns {string[]}
 */
function exitProblems(timeoutSeconds, ended, tests, running) {
  const during = running.length === 0 ? '' : ` during: ${running.join(' > ')}`
  if (ended.timedOut) return [`not finished after ${timeoutSeconds} s${during}`]
  if (hasCrashed(ended, tests)) return [`ended with ${ended.signal ?? `exit code ${ended.code}`}${during}`]
  return tests.length === 0 ? ['has no tests'] : []
}

/**
 * Whether the file ended before its tests could: an error at its top level.
 * @param {{ code: number | null }} ended
 * @param {readonly TestResult[]} tests
 */
function hasCrashed(ended, tests) {
  return ended.code !== 0 && !tests.some(isFailure)
}

/**
 * What a finished file left behind; processes are killed after they have been named.
 * @param {string} work
 * @param {boolean} wasCutOff then it had no chance to clean up: what is left is removed without a word
 * @returns {Promise<string[]>}
 */
async function leftovers(work, wasCutOff) {
  const found = readdirSync(path.join(work, 'tmp')).map(name => `left a temporary file behind: ${name}`)
  const namespaceNote = path.join(work, 'namespace')
  const namespace = existsSync(namespaceNote) ? readFileSync(namespaceNote, 'utf8').trim() : undefined
  // By namespace and by mark: a server forgets the mark, and a test may make further namespaces.
  const find = () => {
    const inside = namespace === undefined ? [] : processesIn(namespace)
    return [...new Set([...inside, ...processesWith(`PGHERD_WORK=${work}`)])]
  }
  for (const pid of find()) found.push(`left a process behind: ${pid} ${describeProcess(pid)}`)
  await killUntilGone(find)
  return wasCutOff ? [] : found
}

/**
 * @param {string} file
 * @param {string} text
 * @returns {TestResult}
 */
function failure(file, text) {
  return { name: `${file} ${text}`, result: 'failed', durationMs: 0, error: text }
}
