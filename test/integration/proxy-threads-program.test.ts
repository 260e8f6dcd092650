// The program itself with two threads: both listen, nobody else may, and a stop leaves nothing.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { waitFor } from '../../src/demo/wait.ts'
import { runProgram } from '../support/run-program.ts'
import { makeWorkplace } from '../support/workplace.ts'
import { sqlStateOf, startSession } from './proxy-wire.ts'

const PORT = 5998
const LISTENS = '0A'

/** How many sockets listen on our port, by the kernel's table. */
async function listening(): Promise<number> {
  const port = PORT.toString(16).toUpperCase().padStart(4, '0')
  const lines = (await readFile('/proc/net/tcp', 'utf8')).split('\n').map(line => line.trim().split(/\s+/))
  return lines.filter(([, local, , state]) => local?.endsWith(`:${port}`) && state === LISTENS).length
}

function fileFor(admin: number): string {
  return [
    'scope: pgsql',
    'patroni: [http://127.0.0.1:1]',
    'threads: 2',
    'listeners:',
    `  write: { bind: '127.0.0.1:${PORT}', pool: leader, on_no_backend: { hold: 0s } }`,
    `admin: { bind: '127.0.0.1:${admin}' }`,
    '',
  ].join('\n')
}

test('the program with two threads listens in both, keeps others from its port, and stops in order', async t => {
  const work = await makeWorkplace(t)
  const files = [join(work.data, 'one.yml'), join(work.data, 'two.yml')]
  for (const [index, file] of files.entries()) await writeFile(file, fileFor(7100 + index))
  const [node = '', ...words] = [...work.program, 'proxy', files[0] ?? '']
  const proxy = spawn(node, words, { stdio: ['ignore', 'ignore', 'pipe'] })
  work.defer(() => proxy.kill('SIGKILL'))
  let log = ''
  proxy.stderr.setEncoding('utf8').on('data', text => {
    log += text
  })
  const withLog = { withinMs: 20_000, everyMs: 20 }
  await waitFor('the threads', withLog, note => {
    note(log)
    return /relay: handle, in 2 threads$/m.test(log)
  })
  assert.equal(await listening(), 2)
  const client = await startSession({ host: '127.0.0.1', port: PORT })
  await client.untilEnd()
  assert.equal(sqlStateOf(client.text), '57P03')
  const second = await runProgram([...work.program, 'proxy', files[1] ?? ''])
  assert.equal(second.code, 1)
  assert.match(second.stderr, /cannot listen on 127\.0\.0\.1:5998 .*another program listens there/)
  const metrics = await (await fetch('http://127.0.0.1:7100/metrics')).text()
  assert.match(metrics, /^pgherd_proxy_thread_sessions\{thread="2"\} 0$/m)
  assert.match(metrics, /^pgherd_proxy_thread_deaths_total 0$/m)
  proxy.kill('SIGTERM')
  const [code] = (await once(proxy, 'exit')) as [number | null]
  assert.equal(code, 0, log)
  assert.equal(await listening(), 0)
})

test('a number of threads that makes no sense is refused', async t => {
  const work = await makeWorkplace(t)
  for (const count of ['0', '65', 'two']) {
    const ran = await runProgram([...work.program, 'proxy', '--threads', count, 'none.yml'])
    assert.equal(ran.code, 2)
    assert.match(ran.stderr, /--threads <count>.*expected a whole number from 1 to 64/)
  }
})
