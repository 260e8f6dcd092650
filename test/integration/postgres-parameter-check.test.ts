// What PostgreSQL's own program says of parameters before they are written; no server runs.

import assert from 'node:assert/strict'
import { chmod, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { after } from 'node:test'
import { findBinaries } from '../../src/postgres/binaries.ts'
import { checkParameters } from '../../src/postgres/parameter-check.ts'
import { Rig, within } from './postgres-rig.ts'

const rig = await Rig.open()
after(() => rig.cleanUp())
const binaries = await findBinaries({ binDir: undefined, names: {}, preferMajor: undefined }, within(10_000))
const postgres = binaries.path('postgres')

async function refusedOf(parameters: Readonly<Record<string, string>>, program = postgres) {
  const { accepted, refused } = await checkParameters(program, parameters, new Map(), within(30_000))
  return { accepted: Object.keys(accepted), refused: refused.map(({ name, says }) => `${name}: ${says}`) }
}

test('unknown names and impossible values are found, all of them, in the server’s own words', async () => {
  const { accepted, refused } = await refusedOf({
    work_mem: '64MB',
    wrok_mem: '1MB',
    'my.own': "it's",
    logging_collector: 'maybe',
    Shared_Buffers: 'lots',
    server_version: '99',
    archive_command: 'cp \'%p\' "/a\\b/%f"',
  })
  assert.deepEqual(accepted, ['work_mem', 'my.own', 'archive_command'])
  assert.deepEqual(refused, [
    'wrok_mem: unrecognized configuration parameter "wrok_mem"',
    'logging_collector: parameter "logging_collector" requires a Boolean value',
    'Shared_Buffers: invalid value for parameter "Shared_Buffers": "lots"',
    'server_version: parameter "server_version" cannot be changed',
  ])
})

test('a name that no file may hold would keep the server from starting: it is left out', async () => {
  const { accepted, refused } = await refusedOf({
    'three.part.name': '1',
    'with space': '1',
    include: '/etc/passwd',
    port: '5432',
  })
  assert.deepEqual(accepted, ['port'])
  assert.deepEqual(
    refused.map(text => text.replace(/:.*/, '')),
    ['three.part.name', 'with space', 'include'],
  )
})

test('parameters that change how the program speaks hide no mistake', async () => {
  const { accepted, refused } = await refusedOf({
    log_min_messages: 'panic',
    log_line_prefix: '%m LOG:  parameter "work_mem" ',
    log_destination: 'csvlog',
    max_connections: 'many',
    log_timezone: 'Mars/Olympus',
  })
  assert.deepEqual(accepted, ['log_min_messages', 'log_line_prefix', 'log_destination'])
  assert.equal(refused.length, 2)
})

test('a value stands in no command line and in no file that is left', async () => {
  const program = join(rig.directory, 'postgres-seen')
  const seen = join(rig.directory, 'arguments')
  await writeFile(
    program,
    `#!/bin/sh\nprintf '%s\\n' "$@" > ${seen}\nenv >> ${seen}\nexec ${postgres} "$@"\n`,
  )
  await chmod(program, 0o755)
  const files = async () => (await readdir('/dev/shm')).filter(name => name.startsWith('pgherd.'))
  const { accepted, refused } = await refusedOf(
    { archive_command: 'send --key=S3CRET', nonsense: 'S3CRET' },
    program,
  )
  assert.deepEqual([accepted.length, refused.length], [1, 1])
  assert.ok(!(await readFile(seen, 'utf8')).includes('S3CRET'))
  assert.deepEqual(await files(), [])
})
