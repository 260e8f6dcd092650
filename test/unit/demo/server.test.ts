import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { type TestContext } from 'node:test'
import { Host } from '../../../src/demo/host.ts'
import { processState } from '../../../src/demo/proctable.ts'
import { waitFor } from '../../../src/demo/wait.ts'

const account = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }

async function makeHost(t: TestContext): Promise<Host> {
  const base = await mkdtemp(path.join(tmpdir(), 'server-'))
  const place = {
    name: 'h1',
    address: '127.0.0.1',
    directory: path.join(base, 'h1'),
    logs: path.join(base, 'logs'),
  }
  const host = new Host({ ...place, enter: [] }, account)
  await host.prepare()
  t.after(async () => {
    await host.kill()
    await rm(base, { recursive: true })
  })
  return host
}

const shell = (text: string) => ['sh', '-c', text] as const

test('a server writes to its own log file and its exit code is known', async t => {
  const host = await makeHost(t)
  const server = host.server({
    name: 'hello',
    command: shell('echo from $NAME; exit 3'),
    env: { NAME: 'inside' },
  })
  await server.start()
  assert.deepEqual(await server.exit, { code: 3, signal: undefined })
  assert.equal(await readFile(server.logFile, 'utf8'), 'from inside\n')
})

test('a killed server can be started again', async t => {
  const host = await makeHost(t)
  const server = host.server({ name: 'sleeper', command: ['sleep', '600'] })
  await server.start()
  const first = server.pid
  await server.kill()
  assert.equal(server.isRunning, false)
  assert.deepEqual(await server.exit, { code: undefined, signal: 'SIGKILL' })
  await server.start()
  assert.notEqual(server.pid, first)
})

test('a program that does not exist is an error of start, not of the process', async t => {
  const host = await makeHost(t)
  const server = host.server({ name: 'nothing', command: ['/nonexistent/program'] })
  await server.start()
  assert.equal((await server.exit).code, 127)
})

test('a frozen server is stopped until it is thawed', async t => {
  const host = await makeHost(t)
  const server = host.server({ name: 'sleeper', command: ['sleep', '600'] })
  await server.start()
  await server.freeze()
  assert.equal(await processState(server.pid), 'T')
  server.thaw()
  await waitFor('it to go on', { withinMs: 20_000 }, async () => (await processState(server.pid)) === 'S')
})

test('the verbs of a host reach children in sessions of their own, which left no trace in their environment', async t => {
  const host = await makeHost(t)
  const detached = 'env -i setsid sleep 600 & sleep 600'
  await host.server({ name: 'family', command: shell(detached) }).start()
  const pids = await waitFor('the family', { withinMs: 20_000 }, async () => {
    const found = await host.processes()
    return found.length === 3 && found
  })
  await host.freeze()
  for (const pid of pids) assert.equal(await processState(pid), 'T')
  await host.thaw()
  await host.kill()
  assert.deepEqual(await host.processes(), [])
})
