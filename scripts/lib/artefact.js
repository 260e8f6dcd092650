// The program as a user gets it: `npm pack`, unpacked with its Node in a directory that every user of the machine can
// read. Tests and root's demo run this copy, never the checkout, which may be closed to other users.

import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { projectNode, root } from './paths.js'
import { runQuiet } from './run.js'
import { SetupError } from './say.js'

/** @typedef {{ directory: string, program: string[] }} Artefact `program`: the words that start it */

/**
 * A fresh directory that every user can enter, below the first temporary directory whose parents allow that too.
 * The caller removes it.
 * @param {string} prefix for example `pgherd-test-`
 * @returns {string}
 */
export function makeSharedDirectory(prefix) {
  const base = [tmpdir(), '/tmp', '/var/tmp'].find(isOpenToAll)
  if (base === undefined)
    throw new SetupError('no temporary directory can be entered by all users (tried TMPDIR, /tmp, /var/tmp)')
  const directory = mkdtempSync(path.join(base, prefix))
  chmodSync(directory, 0o755)
  return directory
}

/**
 * Packs the built program into `directory`, which must exist and be empty. `program` of the result is what to run.
 * @param {string} directory
 * @returns {Promise<Artefact>}
 */
export async function packArtefact(directory) {
  const tarball = await pack(directory)
  const unpacked = await runQuiet('tar', [
    '-xzf',
    tarball,
    '-C',
    directory,
    '--strip-components=1',
    '--no-same-owner',
  ])
  if (unpacked.code !== 0)
    throw new SetupError(`the packed program cannot be unpacked: ${unpacked.stderr.trim()}`)
  rmSync(tarball)
  // The runtime is copied alone: its package also carries headers and manuals. The modules are in the bundle.
  mkdirSync(path.join(directory, 'bin'))
  const node = path.join(directory, 'bin/node')
  await copy(['--reflink=auto', projectNode, node])
  await runQuiet('chmod', ['-R', 'a+rX,go-w', directory])
  const main = path.join(directory, 'dist/main.js')
  return { directory, program: programWords(node, main) }
}

/**
 * The words that start a program as its first line does, with another Node: node, what that line gives to it (for example
 * `--max-semi-space-size=2`), the program.
 * @param {string} node
 * @param {string} main
 * @returns {string[]}
 */
export function programWords(node, main) {
  const [line = ''] = readFileSync(main, 'utf8').split('\n', 1)
  const options = /^#!\/usr\/bin\/env (?:-S )?node\b(.*)$/.exec(line)?.[1]
  if (options === undefined) throw new SetupError(`${main} does not begin with the line that starts node`)
  return [node, ...options.split(' ').filter(word => word !== ''), main]
}

/** @param {readonly string[]} args */
async function copy(args) {
  const copied = await runQuiet('cp', args, { cwd: root })
  if (copied.code !== 0) throw new SetupError(`the program cannot be copied: ${copied.stderr.trim()}`)
}

/**
 * @param {string} directory
 * @returns {Promise<string>} the tarball's path
 */
async function pack(directory) {
  const npm = process.env['npm_execpath']
  const args = ['pack', '--ignore-scripts', '--silent', '--pack-destination', directory]
  const made =
    npm === undefined
      ? await runQuiet('npm', args, { cwd: root })
      : await runQuiet(process.execPath, [npm, ...args], { cwd: root })
  const tarball = readdirSync(directory).find(name => name.endsWith('.tgz'))
  if (made.code !== 0 || tarball === undefined) throw new SetupError(`npm pack failed: ${made.stderr.trim()}`)
  return path.join(directory, tarball)
}

/** @param {string} directory */
function isOpenToAll(directory) {
  for (let at = path.resolve(directory); ; at = path.dirname(at)) {
    if ((statSync(at).mode & 0o001) === 0) return false
    if (at === path.dirname(at)) return true
  }
}
