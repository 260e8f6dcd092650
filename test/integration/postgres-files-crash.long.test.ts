// The server's files, written by children that may die at any moment: what is left always loads, and is old or new.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { runChild } from '../../src/platform/child.ts'
import { realClock } from '../../src/platform/clock.ts'
import { ConfigFiles } from '../../src/postgres/config-files.ts'
import { DataDirectory } from '../../src/postgres/data-directory.ts'
import { fresh, root, workMem, write } from './postgres-files-rig.ts'
import { within } from './postgres-rig.ts'

const TOOLS = ['cat', 'cmp', 'cp', 'mv', 'rm', 'sync']
const wrappers = join(root, 'wrappers')
const state = join(root, 'state')
const path = process.env['PATH'] ?? ''

/**
 * Programs that end their caller at the call with a given number, before or after they have done their work. Processes die
 * here, not the machine: nothing waits for a disk.
 */
async function makeWrappers(): Promise<void> {
  await mkdir(wrappers)
  await mkdir(state)
  for (const tool of TOOLS) {
    const real = (
      await runChild('/bin/sh', ['-c', `command -v ${tool}`], { by: within(5_000) })
    ).stdout.trim()
    const script = `#!/bin/sh
n=$(($(${'/bin/cat'} ${state}/calls) + 1)); echo $n > ${state}/calls
read -r at when < ${state}/kill
[ $n -ne $at ] || [ $when = after ] || kill -9 $PPID
${tool === 'sync' ? 'true' : real} "$@"; code=$?
[ $n -ne $at ] || kill -9 $PPID
exit $code
`
    await writeFile(join(wrappers, tool), script, { mode: 0o755 })
  }
}

const autoConf = "primary_conninfo = 'host=old'\nmaintenance_work_mem = '4MB'\n"
const first = (text: string) => text.split('\n').find(line => line !== '' && !line.startsWith('# Written'))

/** Lets `work` die at each of its steps in turn; `look` judges what each left, after a second run that nothing disturbed too. */
async function dieEverywhere(
  when: 'before' | 'after',
  scene: {
    readonly prepare: (at: number) => Promise<string>
    readonly work: (directory: string) => Promise<void>
    readonly look: (directory: string, isComplete: boolean) => Promise<void>
  },
): Promise<number> {
  let crashes = 0
  try {
    for (let at = 1; at < 200; at += 1) {
      process.env['PATH'] = path
      const directory = await scene.prepare(at)
      await writeFile(join(state, 'calls'), '0\n')
      await writeFile(join(state, 'kill'), `${at} ${when}\n`)
      process.env['PATH'] = `${wrappers}:${path}`
      const isDone = await scene.work(directory).then(
        () => true,
        () => false,
      )
      await scene.look(directory, isDone)
      if (isDone) return crashes
      crashes += 1
      await writeFile(join(state, 'kill'), `0 ${when}\n`)
      await scene.work(directory)
      await scene.look(directory, true)
      const left = await readdir(directory)
      assert.equal(left.filter(name => name.endsWith('.pgherd')).join(), '')
      await rm(directory, { recursive: true })
    }
    throw new Error('it never came to an end')
  } finally {
    process.env['PATH'] = path
  }
}

await makeWrappers()

for (const when of ['before', 'after'] as const) {
  test(`a child killed ${when} any of its steps leaves files that load, each old or new, and the next write completes them`, async t => {
    const crashes = await dieEverywhere(when, {
      prepare: async at => {
        const directory = await fresh(`${when}${at}`)
        await writeFile(join(directory, 'postgresql.auto.conf'), autoConf)
        return directory
      },
      work: directory => write(directory, 'new'),
      look: async (directory, isComplete) => {
        const value = await workMem(directory)
        assert.ok((isComplete ? ['6144'] : ['3072', '6144']).includes(value ?? ''), `work_mem is ${value}`)
        const hba = await readFile(join(directory, 'pg_hba.conf'), 'utf8')
        const allowed = ['local all all trust # new', ...(isComplete ? [] : ['# of initdb'])]
        assert.ok(allowed.includes(first(hba) ?? ''), hba)
        if (!isComplete) return
        const base = await readFile(join(directory, 'postgresql.base.conf'), 'utf8')
        assert.match(base, /^work_mem = '3MB'/, 'what was there before us is still there')
        const auto = await readFile(join(directory, 'postgresql.auto.conf'), 'utf8')
        assert.equal(auto, "maintenance_work_mem = '4MB'\n")
      },
    })
    t.diagnostic(`${crashes} places to die at`)
    assert.ok(crashes >= 12, `${crashes}`)
  })

  test(`a standby is never one file away from a primary: killed ${when} any step of writing the signals`, async t => {
    const crashes = await dieEverywhere(when, {
      prepare: async at => {
        const directory = await fresh(`signals-${when}${at}`)
        for (const name of ['standby.signal', 'recovery.signal', 'promote'])
          await writeFile(join(directory, name), '')
        return directory
      },
      work: async directory => {
        const source = { primaryConninfo: 'host=10.0.0.1', primarySlotName: 'pg2' }
        await filesOf(directory).writeSignals({ role: 'replica', source }, 15, within(20_000))
      },
      look: async (directory, isComplete) => {
        const names = (await readdir(directory)).filter(name => /signal$|promote/.test(name))
        assert.ok(names.includes('standby.signal'))
        if (isComplete) assert.deepEqual(names, ['standby.signal'])
      },
    })
    t.diagnostic(`${crashes} places to die at`)
    assert.ok(crashes >= 3, `${crashes}`)
  })

  test(`a config_dir is completed from copies, and copies are kept, whole files alone: killed ${when} any step`, async t => {
    const [old, whole] = ["work_mem = '8MB'\n".repeat(2_000), "work_mem = '9MB'\n".repeat(2_000)]
    const isWhole = (text: string, isComplete: boolean) => text === whole || (!isComplete && text === old)
    const names = ['postgresql.base.conf', 'pg_hba.conf']
    const crashes = await dieEverywhere(when, {
      prepare: async at => {
        const directory = await fresh(`copies-${when}${at}`)
        await mkdir(join(directory, 'kept'), { mode: 0o700 })
        for (const name of names) {
          await writeFile(join(directory, name), whole)
          await writeFile(join(directory, 'kept', `${name}.backup`), old)
        }
        await rm(join(directory, 'postgresql.conf'))
        return directory
      },
      work: async directory => {
        const kept = new DataDirectory(join(directory, 'kept'))
        const by = within(20_000)
        await kept.keepCopiesOf(new DataDirectory(directory), names, by)
        await new DataDirectory(join(directory, 'new')).fillFrom(kept, ['postgresql.conf', ...names], by)
      },
      look: async (directory, isComplete) => {
        for (const name of names) {
          const copy = await readFile(join(directory, 'kept', `${name}.backup`), 'utf8')
          assert.ok(isWhole(copy, isComplete), `${name}.backup has ${copy.length} bytes`)
          const filled = await readFile(join(directory, 'new', name), 'utf8').catch(() => undefined)
          if (isComplete || filled !== undefined)
            assert.ok(isWhole(filled ?? '', isComplete), `${name} has ${filled?.length} bytes`)
        }
      },
    })
    t.diagnostic(`${crashes} places to die at`)
    assert.ok(crashes >= 8, `${crashes}`)
  })
}

test('an agent that dies while it writes the password file leaves the old one or the new one', async t => {
  const file = join(root, 'pass')
  const [one, other] = ['one'.repeat(200_000), 'two'.repeat(300_000)]
  // The first writer may be killed before its first write.
  await writeFile(file, one, { mode: 0o600 })
  const module = new URL('../../src/postgres/secret-files.ts', import.meta.url).href
  const clocks = new URL('../../src/platform/', import.meta.url).href
  const program = `
    const { writeSecretFile } = await import('${module}')
    const { Deadline } = await import('${clocks}deadline.ts')
    const { realClock } = await import('${clocks}clock.ts')
    process.send('writes')
    for (;;) for (const text of ['one'.repeat(200_000), 'two'.repeat(300_000)])
      await writeSecretFile(${JSON.stringify(file)}, text, Deadline.in(realClock, 20_000))`
  const seen = new Set<string>()
  for (let round = 0; round < 12; round += 1) {
    const writer = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    await once(writer, 'message')
    await realClock.sleep(10 + 7 * round)
    writer.kill('SIGKILL')
    await once(writer, 'exit')
    const text = await readFile(file, 'utf8')
    assert.ok(text === one || text === other, `round ${round} left ${text.length} bytes`)
    assert.equal((await stat(file)).mode & 0o777, 0o600)
    seen.add(text)
  }
  t.diagnostic(`${seen.size} of 2 contents seen`)
})

function filesOf(directory: string): ConfigFiles {
  const data = new DataDirectory(directory)
  return new ConfigFiles({ data, configDir: directory, baseName: 'postgresql', customConf: undefined })
}
