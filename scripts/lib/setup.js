// Everything that has to be there before the real work: Debian packages, npm modules, the build. Each step does nothing
// when its result is already there, so running it again is free.

import { accountCommand } from './account.js'
import { installCommand, installPackages } from './apt.js'
import { build } from './build.js'
import { installModules, missingModules } from './modules.js'
import { projectNode } from './paths.js'
import { runInherited } from './run.js'
import { say } from './say.js'

/** Set for the second start of a script, the one on the project's Node: set-up is then done. */
const DONE = 'PGHERD_SETUP_DONE'

/**
 * Prints the commands that set-up would run, and runs none of them.
 * @param {import('./needs.js').Purpose | readonly import('./needs.js').Purpose[]} purpose
 */
export async function printSetup(purpose) {
  const commands = [
    await installCommand(purpose),
    await accountCommand(),
    missingModules().length === 0 ? undefined : 'npm ci',
    'npm run build',
  ].filter(command => command !== undefined)
  say('set-up would run, in this directory:')
  for (const command of commands) process.stdout.write(`${command}\n`)
}

/**
 * Does the set-up for `purpose` and then runs `script` again on the project's own Node. Resolves to its exit code, or to
 * undefined in that second run: then the caller goes on with its work.
 * @param {import('./needs.js').Purpose | readonly import('./needs.js').Purpose[]} purpose
 * @param {string} script absolute path
 * @param {{ build?: boolean }} [options] build: default true
 * @returns {Promise<number | undefined>}
 */
export async function setUp(purpose, script, options = {}) {
  if (process.env[DONE] === '1') {
    delete process.env[DONE]
    return undefined
  }
  await installPackages(purpose)
  await installModules()
  if (options.build !== false) await build()
  const env = { ...process.env, [DONE]: '1' }
  return runInherited(projectNode, [script, ...process.argv.slice(2)], { env })
}
