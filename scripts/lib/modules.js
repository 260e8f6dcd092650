// The npm modules: installed with `npm ci` when what lies in node_modules is not what the lock file says.

import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { projectNode, root } from './paths.js'
import { runInherited } from './run.js'
import { SetupError, say } from './say.js'

/**
 * @typedef {object} LockEntry
 * @property {string} [version]
 * @property {string} [integrity]
 * @property {boolean} [dev]
 * @property {boolean} [optional]
 * @property {string[]} [os]
 * @property {string[]} [cpu]
 * @property {string[]} [libc]
 */

/** @typedef {Readonly<Record<string, LockEntry>>} LockPackages */

/** Errors alone: the warnings are about the machine's Node, which runs nothing of ours. */
const CLEAN_INSTALL = ['ci', '--loglevel=error']

/**
 * Names of the packages of `lock` that `installed` (npm's own note of what it put into node_modules) has in another
 * version or not at all. Optional packages of other systems do not count.
 * @param {LockPackages} lock
 * @param {LockPackages} installed
 * @returns {string[]}
 */
export function differences(lock, installed) {
  return Object.entries(lock)
    .filter(([name]) => name !== '')
    .filter(([, entry]) => fitsMachine(entry))
    .filter(([name, entry]) => {
      const found = installed[name]
      return found === undefined || found.version !== entry.version || found.integrity !== entry.integrity
    })
    .map(([name]) => name.replace(/^.*node_modules\//, ''))
}

/** Runs `npm ci` unless node_modules already matches package-lock.json. */
export async function installModules() {
  const wrong = missingModules()
  if (wrong.length === 0) return
  const names =
    wrong.length > 5 ? `${wrong.slice(0, 5).join(', ')} and ${wrong.length - 5} more` : wrong.join(', ')
  say(`npm ci: node_modules lacks ${names}`)
  const npm = process.env['npm_execpath']
  const code =
    npm === undefined
      ? await runInherited('npm', CLEAN_INSTALL, { cwd: root })
      : await runInherited(process.execPath, [npm, ...CLEAN_INSTALL], { cwd: root })
  if (code !== 0) throw new SetupError(`npm ci failed (exit code ${code}); its own message is above`)
  if (!existsSync(projectNode))
    throw new SetupError(`npm ci did not bring ${projectNode}; is this Linux on x64 or arm64?`)
}

/**
 * What `npm ci` would have to bring.
 * @returns {string[]}
 */
export function missingModules() {
  const lock = readPackages('package-lock.json')
  const installed = readPackages('node_modules/.package-lock.json')
  const gone = Object.keys(installed).filter(name => !existsSync(path.join(root, name)))
  return [...new Set([...differences(lock, installed), ...gone])]
}

/**
 * The packages that the program needs to run, as paths below the checkout.
 * @returns {string[]}
 */
export function productionPackages() {
  return Object.entries(readPackages('package-lock.json'))
    .filter(([name, entry]) => name !== '' && entry.dev !== true && existsSync(path.join(root, name)))
    .filter(([name]) => !path.basename(name).startsWith('node-linux-'))
    .map(([name]) => name)
}

/**
 * @param {string} file
 * @returns {LockPackages}
 */
function readPackages(file) {
  const absolute = path.join(root, file)
  return existsSync(absolute) ? JSON.parse(readFileSync(absolute, 'utf8')).packages : {}
}

/**
 * An optional package without a processor of its own only serves optional ones of other systems.
 * @param {LockEntry} entry
 */
function fitsMachine(entry) {
  if (entry.optional !== true) return true
  const muslOnly = entry.libc !== undefined && !entry.libc.includes('glibc')
  return (entry.os?.includes('linux') ?? true) && (entry.cpu?.includes(process.arch) ?? false) && !muslOnly
}
