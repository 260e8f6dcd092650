// Smaller parts of the harness: a disk that can be full, and an initdb that does its work once.

import assert from 'node:assert/strict'
import { readFile, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import test, { after } from 'node:test'
import { LoopbackLayout } from '../../src/demo/loopback.ts'
import { SmallDisk } from '../support/disk.ts'
import { quickBinDir } from '../support/tools.ts'
import { makeWorkplace } from '../support/workplace.ts'

const work = await makeWorkplace({ after })
const host = await new LoopbackLayout(work.data, work.logs).host('h1')
work.defer(() => host.remove())

test('a filled disk takes not one byte more, and works again when it is freed', async () => {
  const disk = await SmallDisk.mount(work, host, 8)
  const file = path.join(disk.path, 'file')
  await writeFile(file, 'before')
  await disk.fill()
  await assert.rejects(writeFile(path.join(disk.path, 'other'), 'x'), { code: 'ENOSPC' })
  await disk.free()
  await writeFile(file, 'after')
})

test('initdb gives a private directory of its own each time, made by the same arguments', async () => {
  const initdb = path.join(await quickBinDir(), 'initdb')
  for (const name of ['one', 'two']) {
    const words = [initdb, '-D', host.path(name), '--encoding=UTF8', '--locale=C.UTF-8', '--auth=trust']
    const run = host.server({ name: `initdb-${name}`, command: words })
    await run.start()
    assert.equal((await run.exit).code, 0, await readFile(run.logFile, 'utf8'))
    assert.equal(await readFile(host.path(name, 'PG_VERSION'), 'utf8'), '15\n')
    assert.equal((await stat(host.path(name))).mode & 0o777, 0o700)
  }
  // Copied, not made again: both have the identifier of the first.
  const controls = await Promise.all(
    ['one', 'two'].map(name => readFile(host.path(name, 'global/pg_control'))),
  )
  assert.deepEqual(controls[0]?.subarray(0, 8), controls[1]?.subarray(0, 8))
})
