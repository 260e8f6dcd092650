// Compiles src to dist, unless dist is already what these sources give.

import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { contentHash, filesBelow, projectNode, root, stateDir } from './paths.js'
import { runInherited } from './run.js'
import { SetupError, say } from './say.js'

const STAMP = path.join(stateDir, 'build')

/** Files that are served or read as they are, beside the compiled ones. */
const ASSETS = ['web']

/** Builds if needed. The stamp is written last: a build that was cut off is done again. */
export async function build() {
  const wanted = sourceHash()
  if (existsSync(path.join(root, 'dist/main.js')) && readStamp() === wanted) return
  say('building dist')
  rmSync(STAMP, { force: true })
  rmSync(path.join(root, 'dist'), { recursive: true, force: true })
  const code = await runTool('typescript/bin/tsc', ['-p', 'tsconfig.build.json'])
  if (code !== 0) throw new SetupError('the sources do not compile; the compiler said why above')
  for (const name of ASSETS) copyAssets(name)
  chmodSync(path.join(root, 'dist/main.js'), 0o755)
  mkdirSync(stateDir, { recursive: true })
  writeFileSync(STAMP, wanted)
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
  const settings = ['tsconfig.json', 'tsconfig.build.json', 'package.json', 'package-lock.json']
  return contentHash([...filesBelow(path.join(root, 'src')), ...settings.map(name => path.join(root, name))])
}

function readStamp() {
  return existsSync(STAMP) ? readFileSync(STAMP, 'utf8') : ''
}

/** @param {string} name */
function copyAssets(name) {
  const from = path.join(root, 'src', name)
  if (!existsSync(from)) return
  const isAsset = (/** @type {string} */ file) => !/\.tsx?$/.test(file)
  cpSync(from, path.join(root, 'dist', name), { recursive: true, filter: isAsset })
}
