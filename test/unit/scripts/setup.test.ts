// Set-up on a machine whose apt-get and sudo only write down what was asked of them: nobody else's can be had in a test.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
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
    folder,
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

/** What a set-up of `purpose` would print for this user, on a machine that has none of these programs. */
function printed(folder: string, uid: number): string {
  const script = `
    import { printSetup } from '${root}/scripts/lib/setup.js'
    import { runMain } from '${root}/scripts/lib/say.js'
    process.getuid = () => ${uid}
    await runMain(async () => { await printSetup('demo'); return 0 })`
  const words = ['--input-type=module', '-e', script]
  const ran = spawnSync(process.execPath, words, { env: { PATH: folder }, encoding: 'utf8', timeout: 20_000 })
  assert.equal(ran.status, 0, ran.stderr)
  return ran.stdout
}

for (const { who, uid, withSudo, install, account } of [
  { who: 'a user with sudo', uid: 1000, withSudo: true, install: /^sudo sh \S+ .*etcd-client$/m },
  { who: 'a user without sudo', uid: 1000, withSudo: false, install: /^su -c 'sh \S+ .*etcd-client'$/m },
  { who: 'root', uid: 0, withSudo: true, install: /^sh \S+ .*etcd-client$/m, account: true },
]) {
  test(`--no-install prints what ${who} can type${account === true ? ', and how the account is made' : ''}`, t => {
    const machine = bareMachine(t, { withSudo })
    // No user database either: the account is not there.
    const text = printed(machine.folder, uid)
    assert.match(text, install)
    assert.equal(/^useradd --system .* pgherd$/m.test(text), account === true, text)
    assert.deepEqual(machine.calls(), [])
  })
}

/** A checkout with our scripts and next to nothing else: its compiler and bundler note that they were called. */
function smallCheckout(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'build-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const put = (name: string, text: string) => {
    mkdirSync(path.join(folder, path.dirname(name)), { recursive: true })
    writeFileSync(path.join(folder, name), text)
  }
  const note = (name: string) =>
    `import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs'; appendFileSync('called', '${name}\\n');`
  cpSync(path.join(root, 'scripts/lib'), path.join(folder, 'scripts/lib'), { recursive: true })
  put('package.json', '{"type":"module"}')
  put('package-lock.json', '{"packages":{}}')
  put('node_modules/.package-lock.json', '{"packages":{}}')
  for (const name of ['tsconfig.json', 'tsconfig.build.json', 'rolldown.config.js', 'src/main.ts'])
    put(name, '')
  put('node_modules/typescript/package.json', '{"type":"module"}')
  put('node_modules/typescript/bin/tsc', note('tsc'))
  const bundle = `mkdirSync('dist', { recursive: true }); writeFileSync('dist/main.js', '')`
  put('node_modules/rolldown/bin/cli.mjs', `${note('rolldown')} ${bundle}`)
  put('node_modules/etcd3/proto/rpc.proto', '')
  const node = path.join(folder, `node_modules/node-linux-${process.arch}/bin/node`)
  mkdirSync(path.dirname(node), { recursive: true })
  symlinkSync(process.execPath, node)
  return folder
}

test('modules and dist that are there are not made again', t => {
  const folder = smallCheckout(t)
  const script = `
    import { build } from '${folder}/scripts/lib/build.js'
    import { installModules } from '${folder}/scripts/lib/modules.js'
    await installModules()
    await build()`
  const run = () => {
    const words = ['--input-type=module', '-e', script]
    const ran = spawnSync(process.execPath, words, { encoding: 'utf8', timeout: 20_000 })
    assert.equal(ran.status, 0, ran.stderr)
    return ran.stdout + ran.stderr
  }
  const called = () => readFileSync(path.join(folder, 'called'), 'utf8').trim().split('\n')
  assert.match(run(), /building dist/)
  assert.deepEqual(called(), ['tsc', 'rolldown'])
  assert.equal(run(), '')
  assert.deepEqual(called(), ['tsc', 'rolldown'], 'nothing was made again')
  writeFileSync(path.join(folder, 'src/main.ts'), '// changed')
  assert.match(run(), /building dist/)
  assert.deepEqual(called(), ['tsc', 'rolldown', 'tsc', 'rolldown'])
})
