// Set-up on a machine whose apt-get and sudo only write down what was asked of them: nobody else's can be had in a test.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { type TestContext } from 'node:test'

const root = path.resolve(import.meta.dirname, '../../..')
const MISSING = ['etcd-server', 'etcd-client']

/** A folder that is the whole PATH. `sudo` does what it should: afterwards the programs are there. */
function bareMachine(t: TestContext, { withSudo }: { withSudo: boolean }) {
  const folder = mkdtempSync(path.join(tmpdir(), 'setup-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const called = path.join(folder, 'called')
  const put = (name: string, script: string) => {
    writeFileSync(path.join(folder, name), `#!/bin/sh\n${script}\n`)
    chmodSync(path.join(folder, name), 0o755)
  }
  put('apt-get', `echo "apt-get $*" >> '${called}'`)
  put('ip', 'exit 0')
  const installs = ['etcd', 'etcdctl'].map(name => `: > '${folder}/${name}'`).join('; ')
  if (withSudo) put('sudo', `echo "sudo $*" >> '${called}'; ${installs}`)
  return {
    calls: () => (existsSync(called) ? readFileSync(called, 'utf8').trim().split('\n') : []),
    /** Installs what the demo needs, as a user who is not root. PostgreSQL is looked for elsewhere: it counts if it is there. */
    install() {
      const script = `
        import { installPackages } from '${root}/scripts/lib/apt.js'
        import { runMain } from '${root}/scripts/lib/say.js'
        process.getuid = () => 1000
        await runMain(async () => { await installPackages('demo'); return 0 })`
      const env = { PATH: folder }
      const words = ['--input-type=module', '-e', script]
      return spawnSync(process.execPath, words, { env, encoding: 'utf8', timeout: 20_000 })
    },
  }
}

test('a user asks sudo once, for apt-get alone, and is told what and why; the second time nothing is asked', t => {
  const machine = bareMachine(t, { withSudo: true })
  const first = machine.install()
  const [asked, ...more] = machine.calls()
  assert.deepEqual(more, [])
  assert.match(asked ?? '', /^sudo -n sh \S+\/scripts\/lib\/apt-install\.sh /)
  for (const name of MISSING) {
    assert.match(asked ?? '', new RegExp(` ${name}\\b`))
    assert.match(first.stdout + first.stderr, new RegExp(`^pgherd: +${name} +\\S`, 'm'))
  }
  if (asked?.includes('postgresql-15') === true) {
    return t.diagnostic(
      'this machine has no PostgreSQL, which no stand-in can install: the second time was not tried',
    )
  }
  assert.equal(first.status, 0, first.stderr)
  const before = machine.calls().length
  const second = machine.install()
  assert.deepEqual([second.status, second.stdout, second.stderr], [0, '', ''])
  assert.equal(machine.calls().length, before, 'nothing is missing, so nobody is asked')
})

test('without sudo the command is printed for root to run', t => {
  const machine = bareMachine(t, { withSudo: false })
  const { status, stderr } = machine.install()
  assert.equal(status, 1)
  assert.match(stderr, /sudo is missing; run this as root: sh \S+apt-install\.sh .*etcd-server etcd-client/)
  assert.deepEqual(machine.calls(), [])
})

test('modules and dist that are there are not made again', () => {
  const script = `
    import { build } from '${root}/scripts/lib/build.js'
    import { installModules } from '${root}/scripts/lib/modules.js'
    await installModules()
    await build()`
  const run = () => spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' })
  const first = run()
  assert.equal(first.status, 0, first.stderr)
  const second = run()
  assert.deepEqual([second.status, second.stdout, second.stderr], [0, '', ''])
})
