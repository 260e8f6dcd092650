#!/usr/bin/env node
// npm run demo: set-up, then `dist/main.js demo`. Started by root, the whole demo runs as an unprivileged user on an
// unpacked copy; nothing of it runs as root.

import { rmSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { serverAccount } from './lib/account.js'
import { makeSharedDirectory, packArtefact, programWords } from './lib/artefact.js'
import { parseFlags } from './lib/flags.js'
import { projectNode, root } from './lib/paths.js'
import { runInherited } from './lib/run.js'
import { runMain, say } from './lib/say.js'
import { printSetup, setUp } from './lib/setup.js'

await runMain(async () => {
  const args = process.argv.slice(2)
  const { rest } = parseFlags(
    args.filter(arg => arg !== '--no-install'),
    {},
    { passOn: true },
  )
  const purpose = rest.includes('--versus') ? 'versus' : 'demo'
  if (args.includes('--no-install')) {
    await printSetup(purpose)
    return 0
  }
  const done = await setUp(purpose, fileURLToPath(import.meta.url))
  if (done !== undefined) return done
  if (process.getuid?.() !== 0) {
    const [node = '', ...words] = programWords(projectNode, path.join(root, 'dist/main.js'))
    return runInherited(node, [...words, 'demo', ...rest])
  }
  return demoAsUser(rest)
})

/** @param {readonly string[]} args */
async function demoAsUser(args) {
  const account = await serverAccount()
  const directory = makeSharedDirectory('pgherd-demo-')
  try {
    say(`started as root: the demo runs as the user ${account.name} from ${directory}`)
    const { program } = await packArtefact(directory)
    const identity = [`--reuid=${account.uid}`, `--regid=${account.gid}`, '--clear-groups', '--no-new-privs']
    // Root's own temporary directory may be closed to the user; the one that holds the copy is open to all.
    const owned = {
      HOME: account.home,
      USER: account.name,
      LOGNAME: account.name,
      TMPDIR: path.dirname(directory),
    }
    const env = { ...process.env, ...owned }
    return await runInherited('setpriv', [...identity, ...program, 'demo', ...args], { cwd: '/', env })
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
