// The log of a real agent: its look, its files, and what a reload changes of them.

import assert from 'node:assert/strict'
import { chown, mkdir, readdir, readFile, stat } from 'node:fs/promises'
import path from 'node:path'
import test, { after } from 'node:test'
import { waitFor } from '../../src/demo/wait.ts'
import { startCluster } from '../support/fixture.ts'
import { callRest } from '../support/rest-actions.ts'

const { cluster } = await startCluster({ after }, { etcd: 1, members: 1, proxies: 0 })
const member = await cluster.leader()
const directory = member.host.path('own-log')
await mkdir(directory)
await chown(directory, member.host.account.uid, member.host.account.gid)
const file = path.join(directory, 'patroni.log')

async function reload(log: Readonly<Record<string, unknown>>): Promise<void> {
  await member.configure({ log })
  const asked = async () => (await member.status())['pgherd'] as Readonly<Record<string, unknown>>
  const before = Number((await asked())['reloads_answered'])
  assert.equal((await callRest(member, 'POST /reload', undefined)).code, 202)
  await waitFor(
    'the reload',
    { withinMs: 10_000 },
    async () => Number((await asked())['reloads_answered']) > before,
  )
}

async function untilTold(text: RegExp): Promise<void> {
  await waitFor(`the log to say ${text.source}`, { withinMs: 15_000 }, async () =>
    text.test(await readFile(file, 'utf8')),
  )
}

test('a reload moves the log into files, with another format, and back', async () => {
  await reload({ dir: directory, mode: '0640', format: '%(levelname)-8s|%(name)s|%(message)s' })
  await untilTold(/^INFO {4}\|pgherd\|configuration read again$/m)
  assert.equal((await stat(file)).mode & 0o777, 0o640)
  await reload({ dir: directory, format: '%(message)s', loggers: { 'patroni.ha': 'DEBUG' }, level: 'ERROR' })
  const { size } = await stat(file)
  await reload({ dir: directory, level: 'DEBUG' })
  await untilTold(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO: configuration read again$/m)
  assert.ok((await stat(file)).size > size)
  await reload({})
  const atEnd = await readFile(file, 'utf8')
  await reload({ level: 'DEBUG' })
  assert.equal(await readFile(file, 'utf8'), atEnd)
})

test('who changed what is told with user, address and outcome, and may stay in a log that is quiet otherwise', async () => {
  const authorization = `Basic ${Buffer.from('op:secret').toString('base64')}`
  const drop = () => member.rest('/restart', { method: 'DELETE', headers: { authorization } })
  const line = /^DELETE \/restart from 127\.\d+\.\d+\.\d+ as op: 404 no restarts are scheduled$/gm
  const told = async () => (await readFile(file, 'utf8')).match(line)?.length ?? 0
  await reload({ dir: directory, format: '%(message)s' })
  await drop()
  await waitFor('the line', { withinMs: 15_000 }, async () => (await told()) === 1)
  await reload({ dir: directory, format: '%(message)s', level: 'WARNING' })
  await drop()
  await reload({
    dir: directory,
    format: '%(message)s',
    level: 'WARNING',
    loggers: { 'pgherd.rest': 'INFO' },
  })
  await drop()
  await waitFor('the line again', { withinMs: 15_000 }, async () => (await told()) === 2)
  const events = JSON.parse((await member.rest('/pgherd/events')).body) as readonly {
    readonly says: string
  }[]
  assert.equal(events.filter(({ says }) => new RegExp(line.source).test(says)).length, 3)
})

test('files are turned over by size, and only so many stay', async () => {
  await reload({ dir: directory, file_size: 200, file_num: 2 })
  for (let n = 0; n < 8; n += 1) await callRest(member, 'DELETE /restart', undefined)
  await waitFor('old files', { withinMs: 10_000 }, async () => (await readdir(directory)).length === 3)
  assert.deepEqual((await readdir(directory)).sort(), ['patroni.log', 'patroni.log.1', 'patroni.log.2'])
})

test('a directory that is not there changes nothing, and is told', async () => {
  await member.configure({ log: { dir: '/nonexistent', level: 'ERROR' } })
  assert.equal((await callRest(member, 'POST /reload', undefined)).code, 202)
  await waitFor('the refusal', { withinMs: 10_000 }, async () => {
    const { reload_error: error } = (await member.status())['pgherd'] as Readonly<Record<string, unknown>>
    return /log\.dir: cannot write \/nonexistent\/patroni\.log/.test(String(error))
  })
  await untilTold(/ERROR: not reloaded, the configuration stays as it was: .*log\.dir/)
})

test('an agent whose log directory is not there does not start, with one line and code 1', async () => {
  await member.configure({ log: { dir: '/nonexistent' } })
  await member.agent.stop()
  await member.agent.start()
  assert.equal((await member.agent.exit).code, 1)
  const said = (await readFile(member.agent.logFile, 'utf8')).trimEnd().split('\n').at(-1)
  assert.match(
    said ?? '',
    /^pgherd: \S+patroni\.yml: log\.dir: cannot write \/nonexistent\/patroni\.log: .*create the directory/,
  )
  await member.configure()
})
