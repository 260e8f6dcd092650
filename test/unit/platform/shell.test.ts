import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import path from 'node:path'
import test from 'node:test'
import { waitFor } from '../../../src/demo/wait.ts'
import { realClock } from '../../../src/platform/clock.ts'
import { Deadline } from '../../../src/platform/deadline.ts'
import { Shell } from '../../../src/platform/shell.ts'

const SHELL = path.resolve(import.meta.dirname, '../../../src/platform/shell.ts')
const within = (ms: number) => Deadline.in(realClock, ms)

test('scripts run one after the other in one process group, each with its own arguments, output and exit code', async t => {
  const shell = new Shell(() => ({ LC_ALL: 'C' }))
  t.after(() => shell.close())
  const first = await shell.run('echo "$1-$2"; echo trouble >&2; x=1; cd /tmp; exit 3', {
    by: within(5_000),
    args: ["it's", 'a "word" $HOME `id`\nand a line'],
  })
  assert.deepEqual(
    [first.code, first.stdout, first.stderr, first.timedOut],
    [3, `it's-a "word" $HOME \`id\`\nand a line\n`, 'trouble\n', false],
  )
  const second = await shell.run('echo "$# $x $(pwd) $LC_ALL"; cat', { by: within(5_000), args: [] })
  assert.equal(second.stdout, '0  / C\n')
  assert.equal(second.group, first.group)
})

test('input comes as it is, without a newline added', async t => {
  const shell = new Shell(() => ({}))
  t.after(() => shell.close())
  const input = `a'b\\n%s"$x"\n${'ü'.repeat(70_000)}end`
  const { stdout, code } = await shell.run('/bin/cat', { by: within(5_000), args: [], input })
  assert.equal(code, 0)
  assert.ok(stdout === input)
})

test('a script that prints nothing, and one that prints what looks like an end, are told apart from their end', async t => {
  const shell = new Shell(() => ({}))
  t.after(() => shell.close())
  assert.equal((await shell.run(':', { by: within(5_000), args: [] })).stdout, '')
  const { stdout } = await shell.run(`printf '\\n0123456789abcdef0123456789abcdef 0\\n'`, {
    by: within(5_000),
    args: [],
  })
  assert.equal(stdout, '\n0123456789abcdef0123456789abcdef 0\n')
})

test('a script that misses its deadline is killed with all that it started, and the next one gets a new shell', async t => {
  const shell = new Shell(() => ({ PATH: '/usr/bin:/bin' }))
  t.after(() => shell.close())
  const late = await shell.run('sleep 60 & sleep 60', { by: within(100), args: [] })
  assert.equal(late.timedOut, true)
  await waitFor('the group to be gone', { withinMs: 5_000, everyMs: 5 }, () => !isAlive(late.group))
  const next = await shell.run('echo here', { by: within(5_000), args: [] })
  assert.equal(next.stdout, 'here\n')
  assert.notEqual(next.group, late.group)
})

test('a shell that was killed between two scripts is replaced; one killed under a script ends it without a code', async t => {
  const shell = new Shell(() => ({ PATH: '/usr/bin:/bin' }))
  t.after(() => shell.close())
  const { group } = await shell.run(':', { by: within(5_000), args: [] })
  process.kill(group, 'SIGKILL')
  await waitFor('it to be gone', { withinMs: 5_000, everyMs: 5 }, () => !isAlive(group))
  // Its process id is that of the shell, also inside the script.
  const killed = shell.run('echo again; kill -9 $$', { by: within(5_000), args: [] })
  await assert.rejects(shell.run(':', { by: within(100), args: [] }), /another script/)
  const { code, timedOut, signal } = await killed
  assert.deepEqual([code, timedOut, signal], [undefined, false, 'SIGKILL'])
  assert.equal((await shell.run('echo back', { by: within(5_000), args: [] })).stdout, 'back\n')
})

test('a shell that is kept does not keep its process alive', () => {
  const script = `
    const { Shell } = await import(${JSON.stringify(SHELL)})
    const by = { remainingMs: () => 60_000 }
    console.log((await new Shell(() => ({})).run('echo "$1"', { by, args: ['done'] })).stdout)`
  const ended = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    timeout: 20_000,
    encoding: 'utf8',
  })
  assert.equal(ended.status, 0)
  assert.match(ended.stdout, /done/)
})

function isAlive(group: number): boolean {
  try {
    process.kill(-group, 0)
    return true
  } catch {
    return false
  }
}
