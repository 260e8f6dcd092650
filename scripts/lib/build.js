// Checks src and bundles it with its modules to dist, unless dist is already what these sources give.

import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { productionPackages } from './modules.js'
import { contentHash, filesBelow, projectNode, root, stateDir } from './paths.js'
import { runInherited, runQuiet } from './run.js'
import { SetupError, say } from './say.js'

const STAMP = path.join(stateDir, 'build')

/** What etcd3 reads when it is loaded, beside the directory of its code. */
const PROTOCOL_FILES = 'node_modules/etcd3/proto'

/** Compiled code for system calls (src/platform/native.ts): optional, there is none for other processors. */
const NATIVE_MODULE = `node_modules/@koromix/koffi-linux-${process.arch}/linux_${process.arch}/koffi.node`

/** Builds if needed. The stamp is written last: a build that was cut off is done again. */
export async function build() {
  const wanted = sourceHash()
  if (existsSync(path.join(root, 'dist/main.js')) && readStamp() === wanted) return
  say('building dist')
  rmSync(STAMP, { force: true })
  rmSync(path.join(root, 'dist'), { recursive: true, force: true })
  const checked = await runTool('typescript/bin/tsc', ['-p', 'tsconfig.build.json'])
  if (checked !== 0) throw new SetupError('the sources do not compile; the compiler said why above')
  await bundle()
  cpSync(path.join(root, PROTOCOL_FILES), path.join(root, 'dist/proto'), { recursive: true })
  if (existsSync(path.join(root, NATIVE_MODULE)))
    cpSync(path.join(root, NATIVE_MODULE), path.join(root, 'dist/native/koffi.node'))
  writeFileSync(path.join(root, 'dist/third-party-licenses.txt'), licensesOfModules())
  chmodSync(path.join(root, 'dist/main.js'), 0o755)
  mkdirSync(stateDir, { recursive: true })
  writeFileSync(STAMP, wanted)
}

/** The bundler tells every file that it writes: shown only when it fails. */
async function bundle() {
  const words = [path.join(root, 'node_modules/rolldown/bin/cli.mjs'), '--config', 'rolldown.config.js']
  const { code, stdout, stderr } = await runQuiet(projectNode, words, { cwd: root })
  if (code !== 0) throw new SetupError(`the program cannot be bundled: ${(stderr || stdout).trim()}`)
}

/**
 * Runs a tool out of node_modules with the project's Node.
 * @param {string} script path below node_modules
 * @param {readonly string[]} args
 * @returns {Promise<number>} its exit code
 */
export function runTool(script, args) {
  return runInherited(projectNode, [path.join(root, 'node_modules', script), ...args], { cwd: root })
}

/**
 * What the build depends on: sources, compiler settings and the pinned versions.
 * @returns {string}
 */
export function sourceHash() {
  const settings = [
    'tsconfig.json',
    'tsconfig.build.json',
    'rolldown.config.js',
    'package.json',
    'package-lock.json',
  ]
  return contentHash([...filesBelow(path.join(root, 'src')), ...settings.map(name => path.join(root, name))])
}

function readStamp() {
  return existsSync(STAMP) ? readFileSync(STAMP, 'utf8') : ''
}

/** The licences that the bundled modules came with: they ask to be kept with every copy. */
function licensesOfModules() {
  return productionPackages()
    .map(name => `${name.replace('node_modules/', '')}\n\n${licenseIn(path.join(root, name))}`)
    .join(`\n${'-'.repeat(80)}\n\n`)
}

/** @param {string} directory of a package */
function licenseIn(directory) {
  const file = readdirSync(directory).find(name => /^licen[cs]e/i.test(name))
  if (file !== undefined) return readFileSync(path.join(directory, file), 'utf8')
  return `${JSON.parse(readFileSync(path.join(directory, 'package.json'), 'utf8')).license} licence\n`
}
