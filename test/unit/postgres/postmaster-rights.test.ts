// A server gets none of the agent's rights, whatever the agent's unit gave it.

import assert from 'node:assert/strict'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test from 'node:test'
import { waitFor } from '../../../src/demo/wait.ts'
import { runChild } from '../../../src/platform/child.ts'
import { realClock } from '../../../src/platform/clock.ts'
import { Deadline } from '../../../src/platform/deadline.ts'

const LAUNCHER = path.resolve(import.meta.dirname, '../../../src/postgres/postmaster.ts')

test('the server does not inherit capabilities of the agent', async t => {
  const place = await mkdtemp(path.join(tmpdir(), 'rights-'))
  t.after(() => rm(place, { recursive: true }))
  const server = path.join(place, 'postgres')
  await writeFile(
    server,
    `#!/bin/sh\ngrep ^Cap /proc/self/status >${place}/rights.part && mv ${place}/rights.part ${place}/rights\n`,
  )
  await chmod(server, 0o755)
  const options = {
    postgres: server,
    dataDir: place,
    configFile: 'x',
    parameters: {},
    logFile: path.join(place, 'log'),
    spareLogFile: path.join(place, 'spare'),
  }
  const program = `import { Postmaster } from ${JSON.stringify(LAUNCHER)}; Postmaster.launch(${JSON.stringify(options)})`
  // Only root can give rights away; anybody else has none that could be inherited. `noroot`: root without root's rights.
  const rightsOfAgent = ['--securebits=+noroot', '--inh-caps=+net_admin', '--ambient-caps=+net_admin']
  const agent = process.getuid?.() === 0 ? rightsOfAgent : []
  const words = [...agent, '--', process.execPath, '--input-type=module', '-e', program]
  const done = await runChild('setpriv', words, { by: Deadline.in(realClock, 30_000) })
  assert.equal(done.code, 0, done.stderr)
  const rights = await waitFor('the server', { withinMs: 30_000 }, () =>
    readFile(path.join(place, 'rights'), 'utf8'),
  )
  for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb'])
    assert.match(rights, new RegExp(`^${set}:\\s+0+$`, 'm'), rights)
})
