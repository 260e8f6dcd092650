// Installs what is missing with one apt-get call. The only place that asks for root's rights.

import { fileURLToPath } from 'node:url'
import { missingNeeds } from './needs.js'
import { findProgram } from './paths.js'
import { runInherited, runQuiet } from './run.js'
import { SetupError, say } from './say.js'

const SCRIPT = fileURLToPath(new URL('apt-install.sh', import.meta.url))

/** Debian releases carry one major version each; the unversioned name is the fallback on others than Debian 12. */
const FALLBACK = new Map([['postgresql-15', 'postgresql']])

/**
 * Makes sure that the programs for `purpose` are there. Does nothing, and asks nobody, when none is missing.
 * @param {import('./needs.js').Purpose | readonly import('./needs.js').Purpose[]} purpose
 */
export async function installPackages(purpose) {
  const missing = missingNeeds(purpose)
  if (missing.length === 0) return
  if (findProgram('apt-get') === undefined) {
    const names = missing.map(need => `${need.package} (${need.why})`).join(', ')
    throw new SetupError(`this machine has no apt-get; install these yourself and try again: ${names}`)
  }
  say('these Debian packages are missing and will be installed (their services are not started):')
  for (const need of missing) say(`  ${need.package.padEnd(14)} ${need.why}`)
  const code = await runAsRoot('sh', [SCRIPT, ...(await packageNames(missing))])
  if (code !== 0) throw new SetupError(`apt-get failed (exit code ${code}); its own message is above`)
  const left = missingNeeds(purpose).map(need => need.package)
  if (left.length > 0) throw new SetupError(`installed, but still not found: ${left.join(', ')}`)
}

/**
 * The command that would install what is missing, for people who want to run it themselves; undefined if nothing is.
 * @param {import('./needs.js').Purpose | readonly import('./needs.js').Purpose[]} purpose
 * @returns {Promise<string | undefined>}
 */
export async function installCommand(purpose) {
  const names = await packageNames(missingNeeds(purpose))
  return names.length === 0 ? undefined : asRoot(`sh scripts/lib/apt-install.sh ${names.join(' ')}`)
}

/**
 * The command as this user can type it: root as it is, others with sudo, or with root's password where there is no sudo.
 * @param {string} command without quotes
 */
function asRoot(command) {
  if (process.getuid?.() === 0) return command
  return findProgram('sudo') === undefined ? `su -c '${command}'` : `sudo ${command}`
}

/** @param {readonly import('./needs.js').Need[]} missing */
async function packageNames(missing) {
  return Promise.all(
    missing.map(async need => {
      const fallback = FALLBACK.get(need.package)
      if (fallback === undefined) return need.package
      const known = await runQuiet('apt-cache', ['show', need.package])
      return known.code === 0 || (await runQuiet('apt-cache', ['show', fallback])).code !== 0
        ? need.package
        : fallback
    }),
  )
}

/**
 * @param {string} program
 * @param {readonly string[]} args
 */
async function runAsRoot(program, args) {
  if (process.getuid?.() === 0) return runInherited(program, args)
  if (findProgram('sudo') === undefined) {
    throw new SetupError(
      `packages are installed by root and sudo is missing; run this as root: ${program} ${args.join(' ')}`,
    )
  }
  say('asking sudo, for apt-get only')
  // Without a terminal a password cannot be typed: fail at once instead of waiting for it.
  const quiet = process.stdin.isTTY ? [] : ['-n']
  return runInherited('sudo', [...quiet, program, ...args])
}
