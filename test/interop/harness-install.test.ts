// The installation of Debian packages, with apt-get replaced by a script that looks around: services must not start, no
// database cluster may be made, and both guards must be gone afterwards. The machine's own files are hidden by a tmpfs.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { after } from 'node:test'
import { waitFor } from '../../src/demo/wait.ts'
import { runChild } from '../../src/platform/child.ts'
import { realClock } from '../../src/platform/clock.ts'
import { Deadline } from '../../src/platform/deadline.ts'

const SCRIPT = path.resolve(import.meta.dirname, '../../scripts/lib/apt-install.sh')
const GUARD = '/usr/sbin/policy-rc.d'
const CLUSTER_GUARDS = '/etc/postgresql-common/createcluster.d'

const tools = await mkdtemp(path.join(tmpdir(), 'tools-'))
after(() => rm(tools, { recursive: true }))
const log = path.join(tools, 'log')
await writeTool(
  'apt-get',
  `echo "apt-get $*" >>${log}; [ "$1" = install ] || exit 0
cat ${GUARD} ${CLUSTER_GUARDS}/*.conf >>${log}; [ ! -e ${tools}/slow ] || sleep 60; exit $(cat ${tools}/code 2>/dev/null || echo 0)`,
)
await writeTool(
  'systemctl',
  `echo "systemctl $*" >>${log}; [ "$1" != is-active ] || [ "$2" = ran-before.service ]`,
)
await writeTool('dpkg', 'echo /lib/systemd/system/new.service; echo /lib/systemd/system/ran-before.service')
await mount('/usr/sbin')
await mount('/etc')

const command = { env: { ...process.env, PATH: `${tools}:/usr/bin:/bin` } }

test('during the installation services and clusters are held back, afterwards nothing of that is left', async () => {
  const { code, text } = await install()
  assert.equal(code, 0)
  assert.match(text, /^apt-get update/)
  assert.match(text, /apt-get install .*--no-install-recommends.* etcd-server haproxy\n/)
  assert.match(text, /exit 101\n/)
  assert.match(text, /create_main_cluster = false\n/)
  assert.deepEqual(await guards(), [])
})

test('a new service is not enabled, one that ran before is left alone', async () => {
  const { text } = await install()
  assert.match(text, /systemctl --quiet disable new\.service/)
  assert.doesNotMatch(text, /disable ran-before\.service/)
})

test('an error of apt-get is passed on, and the guards are gone', async () => {
  await writeFile(path.join(tools, 'code'), '100')
  assert.equal((await install()).code, 100)
  await rm(path.join(tools, 'code'))
  assert.deepEqual(await guards(), [])
})

test('interrupted in the middle, the guards are gone', async () => {
  await writeFile(path.join(tools, 'slow'), '')
  await writeFile(log, '')
  const child = spawn('sh', [SCRIPT, 'etcd-server'], { ...command, detached: true, stdio: 'ignore' })
  const { pid } = child
  assert.ok(pid)
  await waitFor('apt-get to be at work', { withinMs: 20_000 }, async () =>
    (await readFile(log, 'utf8')).includes('101'),
  )
  const exited = once(child, 'exit')
  process.kill(-pid, 'SIGINT')
  assert.deepEqual(await exited, [130, null])
  await rm(path.join(tools, 'slow'))
  assert.deepEqual(await guards(), [])
})

test("the operator's own guard stays", async () => {
  await writeFile(GUARD, '# mine\n')
  await install()
  assert.equal(await readFile(GUARD, 'utf8'), '# mine\n')
})

async function install(): Promise<{ readonly code: number | undefined; readonly text: string }> {
  await writeFile(log, '')
  const by = Deadline.in(realClock, 10_000)
  const { code } = await runChild('sh', [SCRIPT, 'etcd-server', 'haproxy'], { ...command, by })
  return { code, text: await readFile(log, 'utf8') }
}

async function guards(): Promise<readonly string[]> {
  const clusters = await readdir(CLUSTER_GUARDS).catch(() => [])
  return [...(await readdir('/usr/sbin')), ...clusters]
}

async function writeTool(name: string, text: string): Promise<void> {
  const file = path.join(tools, name)
  await writeFile(file, `#!/bin/sh\n${text}\n`)
  await chmod(file, 0o755)
}

/** Hides a directory behind an empty one, for this file's mount namespace alone. */
async function mount(directory: string): Promise<void> {
  assert.equal(process.env['PGHERD_ISOLATED'], '1', 'run this file as: npm test -- FILE')
  const done = await runChild('mount', ['-t', 'tmpfs', 'tmpfs', directory], {
    by: Deadline.in(realClock, 5_000),
  })
  assert.equal(done.code, 0, done.stderr)
}
