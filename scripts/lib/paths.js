// Where things lie in the checkout. Everything here runs on the Node that the machine happens to have (18 or newer).

import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

/** The checkout's top directory. */
export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..')

/** State of the scripts themselves: build stamp, record of the last test run. Ignored by git. */
export const stateDir = path.join(root, '.pgherd')

/** The Node that the project brings itself; it exists once the modules are installed. */
export const projectNode = path.join(root, `node_modules/node-linux-${process.arch}/bin/node`)

/**
 * The first of the directories in PATH (and of the administrator's, which users often lack) that holds `program`.
 * @param {string} program
 * @returns {string | undefined}
 */
export function findProgram(program) {
  const directories = (process.env['PATH'] ?? '').split(':').concat('/usr/local/sbin', '/usr/sbin', '/sbin')
  return directories.map(directory => path.join(directory, program)).find(file => existsSync(file))
}

/**
 * All files below `directory`, sorted, as absolute paths; nothing when it does not exist.
 * @param {string} directory
 * @returns {string[]}
 */
export function filesBelow(directory) {
  if (!existsSync(directory)) return []
  return readdirSync(directory)
    .sort()
    .flatMap(name => {
      const file = path.join(directory, name)
      return statSync(file).isDirectory() ? filesBelow(file) : [file]
    })
}

/**
 * One hash over names and contents, so that a change, a rename or a removal all show.
 * @param {readonly string[]} files absolute paths
 * @returns {string}
 */
export function contentHash(files) {
  const hash = createHash('sha256')
  for (const file of files)
    hash
      .update(`${path.relative(root, file)}\0`)
      .update(readFileSync(file))
      .update('\0')
  return hash.digest('hex').slice(0, 16)
}
