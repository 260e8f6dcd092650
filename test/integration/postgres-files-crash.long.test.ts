// The server's files, written by children that may die at any moment: what is left always loads, and is old or new.

import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { after } from 'node:test'
import { runChild } from '../../src/platform/child.ts'
import { fresh, root, workMem, write } from './postgres-files-rig.ts'
import { within } from './postgres-rig.ts'

const TOOLS = ['cat', 'cmp', 'cp', 'mv', 'rm', 'sync']
const wrappers = join(root, 'wrappers')
const state = join(root, 'state')
const path = process.env['PATH'] ?? ''

/**
 * Programs that end their caller at the call with a given number, before or after they have done their work. Processes die
 * here, not the machine: nothing waits for a disk.
 */
async function makeWrappers(): Promise<void> {
  await mkdir(wrappers)
  await mkdir(state)
  for (const tool of TOOLS) {
    const real = (
      await runChild('/bin/sh', ['-c', `command -v ${tool}`], { by: within(5_000) })
    ).stdout.trim()
    const script = `#!/bin/sh
n=$(($(${'/bin/cat'} ${state}/calls) + 1)); echo $n > ${state}/calls
read -r at when < ${state}/kill
[ $n -ne $at ] || [ $when = after ] || kill -9 $PPID
${tool === 'sync' ? 'true' : real} "$@"; code=$?
[ $n -ne $at ] || kill -9 $PPID
exit $code
`
    await writeFile(join(wrappers, tool), script, { mode: 0o755 })
  }
}

const autoConf = "primary_conninfo = 'host=old'\nwork_mem = '4MB'\n"
const first = (text: string) => text.split('\n').find(line => line !== '' && !line.startsWith('# Written'))

for (const when of ['before', 'after'] as const) {
  test(`a child killed ${when} any of its steps leaves files that load, each old or new, and the next write completes them`, async t => {
    if (when === 'before') await makeWrappers()
    process.env['PATH'] = `${wrappers}:${path}`
    after(() => {
      process.env['PATH'] = path
    })
    let crashes = 0
    for (let at = 1; at < 200; at += 1) {
      const directory = await fresh(`${when}${at}`)
      await writeFile(join(directory, 'postgresql.auto.conf'), autoConf)
      await writeFile(join(state, 'calls'), '0\n')
      await writeFile(join(state, 'kill'), `${at} ${when}\n`)
      const isDone = await write(directory, 'new').then(
        () => true,
        () => false,
      )
      const value = await workMem(directory)
      assert.ok(value !== undefined, `the files do not load after a crash ${when} step ${at}`)
      if (isDone) break
      crashes += 1
      const hba = await readFile(join(directory, 'pg_hba.conf'), 'utf8')
      assert.ok(['# of initdb', 'local all all trust # new'].includes(first(hba) ?? ''), `${at}: ${hba}`)
      await writeFile(join(state, 'kill'), `0 ${when}\n`)
      await write(directory, 'new')
      const base = await readFile(join(directory, 'postgresql.base.conf'), 'utf8')
      assert.match(base, /^work_mem = '3MB'/, 'what was there before us is still there')
      assert.equal(await readFile(join(directory, 'postgresql.auto.conf'), 'utf8'), "work_mem = '4MB'\n")
      assert.equal((await readdir(directory)).filter(name => name.endsWith('.pgherd')).join(), '')
      await rm(directory, { recursive: true })
    }
    process.env['PATH'] = path
    t.diagnostic(`${crashes} places to die at`)
    assert.ok(crashes >= 12, `${crashes}`)
  })
}
