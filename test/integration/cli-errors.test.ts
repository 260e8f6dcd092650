// What a person sees after a mistake on the command line or in a file: one line that names the thing and the cure.

import assert from 'node:assert/strict'
import { chmod, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import path from 'node:path'
import test, { after } from 'node:test'
import { asAccount, serverAccount } from '../../src/demo/account.ts'
import { type Ran, type RunOptions, runProgram } from '../support/run-program.ts'
import { matchSnapshot } from '../support/snapshot.ts'
import { makeWorkplace } from '../support/workplace.ts'

const work = await makeWorkplace({ after })
const seed = path.resolve(import.meta.dirname, '../fixtures/seed/patroni.yml')
await chmod(work.data, 0o755)

async function file(name: string, content: string): Promise<string> {
  const at = path.join(work.data, name)
  await writeFile(at, content)
  return at
}

const complete = `scope: main
name: pg1
etcd3: {host: 127.0.0.1:1}
restapi: {listen: 127.0.0.1:8008}
postgresql:
  listen: 127.0.0.1:5432
  connect_address: 127.0.0.1:5432
  data_dir: /nonexistent/data
  authentication: {replication: {username: repl, password: secret}}
`

const files = {
  broken: await file('broken.yml', 'scope: [main\nname: pg1\n'),
  empty: await file('empty.yml', '# nothing\n'),
  list: await file('list.yml', '- scope\n'),
  nameless: await file('nameless.yml', complete.replace('name: pg1\n', '')),
  mistyped: await file('mistyped.yml', complete.replace('data_dir: /nonexistent/data', 'data_dir: [a, b]')),
  port: await file('port.yml', complete.replace('listen: 127.0.0.1:5432', 'listen: 127.0.0.1:65536')),
  password: await file('password.yml', complete.replace('password: secret', 'password: {a: hidden}')),
  consul: await file('consul.yml', `${complete}consul: {host: 127.0.0.1:8500}\n`),
  warned: await file(
    'warned.yml',
    `${complete}tags: {nofailover: yes, failover_priority: 1}\nlogs: {}\nbootstrap:\n  dcs:\n    ttl: 10\n    retry_timeout: 864000000\n    postgresql: {parameters: {max_connections: 5}}\n`,
  ),
  complete: await file('complete.yml', complete),
  proxyValue: await file(
    'proxy-value.yml',
    'scope: main\netcd: {hosts: [127.0.0.1:1]}\nchecks:\n  interval: often\n  rise: 0\n',
  ),
  proxyKey: await file(
    'proxy-key.yml',
    'scope: main\netcd: {hosts: [127.0.0.1:1]}\nlisteners:\n  write: {bind: "*:5000", maxconn: 5}\n',
  ),
  proxyPort: await file(
    'proxy-port.yml',
    'scope: main\netcd: {hosts: [127.0.0.1:1]}\nlisteners:\n  write: {bind: "127.0.0.1:5999", max_connections: 100}\nadmin: {bind: "127.0.0.1:7999"}\n',
  ),
  proxyBare: await file('proxy-bare.yml', 'listeners: {}\n'),
}

/** Words after the program's name; everything in one snapshot, so that the tone is reviewed as a whole. */
const rows: readonly (readonly string[])[] = [
  ['nonsense'],
  ['check'],
  ['check', '--nonsense'],
  ['check', '/nonexistent/patroni.yml'],
  ['check', files.broken],
  ['check', files.empty],
  ['check', files.list],
  ['check', files.nameless],
  ['check', files.mistyped],
  ['check', files.port],
  ['check', files.password],
  ['check', files.consul],
  ['check', files.warned],
  ['check', seed],
  ['proxy', files.proxyValue],
  ['proxy', files.proxyKey],
  ['proxy', files.proxyBare],
  ['proxy', '/nonexistent/proxy.yml'],
  ['ctl', 'list'],
  ['ctl', '-c', '/nonexistent/ctl.yml', 'list'],
  ['ctl', '-d', 'consul://127.0.0.1:8500', 'list', 'main'],
  ['ctl', '-d', '127.0.0.1:8500', 'list', 'main'],
  ['ctl', '-d', '127.0.0.1:2379', 'list'],
  ['ctl', '-d', '127.0.0.1:2379', 'list', '-f', 'xml', 'main'],
  ['ctl', '-d', '127.0.0.1:2379', 'list', '-w', 'soon', 'main'],
  ['ctl', 'nonsense'],
]

function run(words: readonly string[], options?: RunOptions): Promise<Ran> {
  return runProgram([...work.program, ...words], options)
}

/** What differs between machines is replaced. */
function printed(words: readonly string[], { code, stdout, stderr }: Ran): string {
  const text = `$ pgherd ${words.join(' ')}\n${stdout}${stderr}exit code ${code}\n`
  return text.replaceAll(work.data, '/DATA').replaceAll(path.dirname(seed), '/SEED')
}

test('every mistake on the command line and in a file is told in a line or two', async () => {
  const parts: string[] = []
  for (const words of rows) {
    const ran = await run(words)
    assert.doesNotMatch(ran.stderr, /^\s+at .*[.:]\d+/m, 'no stack for a mistake of the user')
    assert.doesNotMatch(ran.stdout + ran.stderr, /hidden|secret|123456/)
    parts.push(printed(words, ran))
  }
  await matchSnapshot('cli-errors', parts.join('\n'))
})

test('a port that another program has is named, with the setting and the cure', async () => {
  await using other = createServer()
  await new Promise<void>(resolve => other.listen(5999, '127.0.0.1', resolve))
  const words = ['proxy', files.proxyPort]
  const ran = await run(words)
  await matchSnapshot('proxy-port-in-use', printed(words, ran))
  assert.equal(ran.code, 1)
})

test('a store that does not answer is named, with code 1', async () => {
  const ran = await run(['ctl', '-c', files.complete, 'list'])
  assert.match(ran.stderr, /^Error: Can not read the cluster main: .*127\.0\.0\.1:1[^\n]*\n$/)
  assert.deepEqual([ran.code, ran.stdout], [1, ''])
})

test('what stands behind a command of ctl is its own: -c of query is SQL, not a configuration', async () => {
  const ran = await run(['ctl', 'query', '-c', 'SELECT 1'])
  assert.match(ran.stderr, /^Error: no configuration: /)
  assert.equal(ran.code, 1)
})

test('a file that may not be read is told so', async () => {
  const account = await serverAccount()
  const secret = await file('secret.yml', complete)
  await chmod(secret, 0o000)
  const ran = await runProgram([...asAccount(account), ...work.program, 'check', secret])
  assert.equal(
    ran.stderr,
    `pgherd: ${secret}: cannot be read: permission denied: let the user that runs this read it\n`,
  )
  assert.equal(ran.code, 1)
})

test('called as pgherdctl, the program is ctl alone', async () => {
  const words = work.program.slice(0, -1)
  const link = path.join(work.data, 'pgherdctl')
  await symlink(work.program.at(-1) ?? '', link)
  const help = await runProgram([...words, link, '--help'])
  assert.match(help.stdout, /^Usage: pgherdctl \[options\] \[command\]\n/)
  const version = await runProgram([...words, link, '--version'])
  assert.match(version.stdout, /^\d+\.\d+\.\d+\n$/)
  const refused = await runProgram([...words, link, '-c', '/nonexistent/ctl.yml', 'list'])
  assert.deepEqual(
    [refused.code, refused.stderr],
    [1, 'Error: /nonexistent/ctl.yml: no such file or directory\n'],
  )
})
