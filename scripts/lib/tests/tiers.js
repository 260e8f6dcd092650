// The tiers of the test suite: which files belong to them, what they need, and how long they may take together.

import path from 'node:path'
import { filesBelow, root } from '../paths.js'
import { SetupError } from '../say.js'

/**
 * Files that run in one go, under one budget.
 * @typedef {object} Stage
 * @property {string} name
 * @property {readonly string[]} tiers folders below test/
 * @property {number} budgetSeconds
 * @property {number} filesAtOnce they mostly wait, so more than there are cores
 * @property {number} fileTimeoutSeconds
 * @property {number} sharedProcesses 0: each file has a process of its own; else all share so many, at the same time
 * @property {boolean} isolated each file in its own network and mount namespace, with the packed program
 * @property {import('../needs.js').Purpose} purpose
 */

/** @type {readonly Stage[]} */
export const STAGES = [
  stage('unit', ['unit'], 20, { sharedProcesses: 2, purpose: 'build', isolated: false }),
  stage('contract', ['contract'], 60, { purpose: 'demo' }),
  stage('simulation', ['simulation'], 180, { filesAtOnce: 2, purpose: 'build', isolated: false }),
  // They measure how long writing is away: three clusters at once on two cores would measure each other.
  stage('faults', ['faults'], 300, { filesAtOnce: 2, fileTimeoutSeconds: 360 }),
  stage('real', ['interop', 'integration'], 420, { filesAtOnce: 4, fileTimeoutSeconds: 360 }),
  stage('web', ['web'], 60, {}),
]

/** Files that alone decide how long their stage lasts, for a machine on which nothing was measured yet. */
export const LONGEST = [
  'test/integration/proxy-torture.test.ts',
  'test/integration/proxy-epochs.test.ts',
  'test/integration/agent-refusals.test.ts',
  'test/faults/never-read-only.test.ts',
  'test/faults/leader-frozen.test.ts',
  'test/faults/etcd-all-down.test.ts',
  'test/interop/seed-deployment.test.ts',
  'test/integration/demo.test.ts',
  'test/integration/postgres-replication.test.ts',
]

/** @type {ReadonlyMap<string, import('../needs.js').Purpose>} Files that need more than their stage does. */
const OWN_PURPOSES = new Map([
  ['test/interop/drivers.long.test.ts', 'drivers'],
  ['test/integration/pgbackrest.long.test.ts', 'backup'],
  ['test/faults/storage-hangs.long.test.ts', 'disk'],
  ['test/integration/postgres-family-hangs.long.test.ts', 'disk'],
  ['test/integration/postgres-secrets.long.test.ts', 'audit'],
  ['test/interop/completion-zsh.long.test.ts', 'shell'],
])

/**
 * A file with its stage. `timeoutSeconds` is the file's own limit, `purpose` what has to be installed for it.
 * @typedef {{ file: string, tier: string, stage: Stage, timeoutSeconds: number, purpose: import('../needs.js').Purpose }} Planned
 */

/**
 * Chooses the files to run: those named, those of one tier, or all. Files named `*.long.test.ts` run only with `long`.
 * @param {{ tier?: string | undefined, files?: readonly string[], long?: boolean }} wanted
 * @returns {readonly Planned[]} paths relative to the checkout, in the order of the stages
 */
export function planFiles(wanted) {
  const named = (wanted.files ?? []).map(file => path.relative(root, path.resolve(file)))
  if (wanted.tier !== undefined) checkTier(wanted.tier)
  const planned = STAGES.flatMap(stage => stage.tiers.flatMap(tier => filesOfTier(stage, tier)))
  const unknown = named.filter(name => !planned.some(({ file }) => isWithin(file, name)))
  if (unknown.length > 0) throw new SetupError(`no test file here: ${unknown.join(', ')}`)
  return planned.filter(({ file, tier }) => {
    if (named.length > 0) return named.some(name => isWithin(file, name))
    if (wanted.tier !== undefined && !tiersOf(wanted.tier).includes(tier)) return false
    return wanted.long === true || !isLong(file)
  })
}

/**
 * @param {string} name
 * @param {readonly string[]} tiers
 * @param {number} budgetSeconds
 * @param {Partial<Stage>} rest
 * @returns {Stage}
 */
function stage(name, tiers, budgetSeconds, rest) {
  const defaults = {
    filesAtOnce: 3,
    fileTimeoutSeconds: 180,
    sharedProcesses: 0,
    isolated: true,
    purpose: /** @type {const} */ ('test'),
  }
  return { name, tiers, budgetSeconds, ...defaults, ...rest }
}

/**
 * @param {Stage} stage
 * @param {string} tier
 * @returns {Planned[]}
 */
function filesOfTier(stage, tier) {
  return filesBelow(path.join(root, 'test', tier))
    .filter(file => file.endsWith('.test.ts'))
    .map(file => {
      const timeoutSeconds = stage.fileTimeoutSeconds * (isLong(file) ? 12 : 1)
      const name = path.relative(root, file)
      return { file: name, tier, stage, timeoutSeconds, purpose: OWN_PURPOSES.get(name) ?? stage.purpose }
    })
}

/** @param {string} name a tier or a stage */
function tiersOf(name) {
  return STAGES.find(stage => stage.name === name)?.tiers ?? [name]
}

/** @param {string} name */
function checkTier(name) {
  const known = new Set(STAGES.flatMap(stage => [...stage.tiers, stage.name]))
  if (!known.has(name)) throw new SetupError(`unknown tier ${name}; known are ${[...known].join(', ')}`)
}

/**
 * @param {string} file
 * @param {string} name the file itself or a folder above it
 */
function isWithin(file, name) {
  return file === name || file.startsWith(`${name}${path.sep}`)
}

/** @param {string} file */
function isLong(file) {
  return file.endsWith('.long.test.ts')
}
