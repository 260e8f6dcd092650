// Data that is thrown away: wherever that stops, what is left is never taken for a cluster.

import assert from 'node:assert/strict'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { after } from 'node:test'
import { realClock } from '../../../src/platform/clock.ts'
import { Deadline } from '../../../src/platform/deadline.ts'
import { DataDirectory } from '../../../src/postgres/data-directory.ts'

const root = await mkdtemp(join(tmpdir(), 'pgherd-discard-'))
const path = process.env['PATH'] ?? ''
after(() => rm(root, { recursive: true, force: true }))
const soon = () => Deadline.in(realClock, 20_000)

async function cluster(name: string): Promise<string> {
  const directory = join(root, name)
  for (const inside of ['global', 'base/1', 'pg_wal', 'pg_xact'])
    await mkdir(join(directory, inside), { recursive: true })
  for (const file of ['PG_VERSION', 'global/pg_control', 'base/1/1259', 'pg_xact/0000'])
    await writeFile(join(directory, file), '15\n')
  return directory
}

/** An rm that gets no further than to the names that match, when it is given whole directories. */
async function failingRm(removed: string): Promise<string> {
  const bin = await mkdtemp(join(root, 'bin-'))
  await writeFile(
    join(bin, 'rm'),
    `#!/bin/sh
[ "$1" = -rf ] || { PATH=${path}; exec rm "$@"; }
for a; do case "\${a##*/}" in ${removed}) PATH=${path} command rm -rf "$a";; esac; done
exit 1\n`,
  )
  await chmod(join(bin, 'rm'), 0o755)
  return bin
}

/** The shell of a DataDirectory is started by its first call. */
async function discardFailing(directory: string, removed: string): Promise<void> {
  process.env['PATH'] = `${await failingRm(removed)}:${path}`
  try {
    await assert.rejects(new DataDirectory(directory).discardContents(soon()), /cannot remove what is/)
  } finally {
    process.env['PATH'] = path
  }
}

for (const [what, removed] of [
  ['its relations', 'base'],
  ['nearly everything', 'PG_VERSION|base|global|pg_wal'],
] as const)
  test(`a directory that was thrown away as far as ${what} is unfinished, and goes at the next attempt`, async () => {
    const directory = await cluster(removed.replaceAll('|', '-'))
    const data = new DataDirectory(directory)
    assert.equal((await data.look(soon()))?.state, 'initialized')
    await discardFailing(directory, removed)
    const look = await data.look(soon())
    assert.deepEqual([look?.state, look?.majorVersion], ['unfinished', 15])
    await data.discardContents(soon())
    assert.equal((await data.look(soon()))?.state, 'empty')
  })

test('an empty directory, one that is absent and one with strange files are emptied, too', async () => {
  const strange = join(root, 'strange')
  await mkdir(join(strange, 'sub'), { recursive: true })
  await writeFile(join(strange, 'sub/file'), '')
  for (let time = 1; time <= 2; time += 1) {
    await new DataDirectory(strange).discardContents(soon())
    assert.equal((await new DataDirectory(strange).look(soon()))?.state, 'empty')
  }
  await new DataDirectory(join(root, 'absent')).discardContents(soon())
})
