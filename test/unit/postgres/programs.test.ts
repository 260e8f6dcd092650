import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import test from 'node:test'
import { parse } from 'yaml'
import { runCommandLine } from '../../../src/commands/agent-machine.ts'
import { commandWords } from '../../../src/postgres/command-words.ts'
import { missingCallback, missingProgram } from '../../../src/postgres/programs.ts'

const HELPERS = ['patroni_barman', 'patroni_wale_restore', 'patroni_aws']

for (const name of HELPERS) {
  test(`${name} that is missing: the error names its package and shows what does the same`, () => {
    for (const called of [name, `/usr/bin/${name}`]) {
      const says = missingProgram(called, 'patroni.yml')
      assert.match(
        says,
        new RegExp(`^the program ${called} is part of the package patroni.*, which is not installed; `),
      )
      assert.match(says, /in patroni\.yml this does the same: \S/)
    }
  })
}

test('what is shown for a method can be pasted: it is YAML, and its command has all its words', () => {
  for (const name of ['patroni_barman', 'patroni_wale_restore']) {
    const section = parse(missingProgram(name, 'f').replace(/^.*the same: /, '')) as Record<string, unknown>
    assert.equal(section['no_params'], true)
    assert.ok(commandWords(String(section['command'])).length >= 3)
  }
})

test('what is shown for a callback is a line that a shell takes and that gets the role', () => {
  for (const name of ['patroni_barman', 'patroni_aws']) {
    const line = missingCallback(name)?.replace(/^.*the same: /, '') ?? ''
    const [shell = '', flag, script = '', ...rest] = commandWords(line)
    assert.deepEqual([shell, flag, rest.length], ['sh', '-c', 1])
    // -n reads it and does nothing.
    execFileSync('sh', ['-n', '-c', script])
    assert.match(script, /\$2/)
  }
})

test('another program that is missing is called by its name alone', () => {
  assert.match(
    missingProgram('/opt/copy', 'f.yml'),
    /^the program \/opt\/copy is not there .* its command in f\.yml$/,
  )
  assert.equal(missingCallback('/opt/copy'), undefined)
})

test('a callback that names a missing program of Patroni says so', async () => {
  const end = await runCommandLine(
    '/nowhere/patroni_aws',
    ['on_start', 'primary', 's'],
    AbortSignal.timeout(5_000),
  )
  assert.equal(end.kind, 'not-run')
  assert.match(
    'says' in end ? end.says : '',
    /part of the package patroni, .* this does the same: sh -c 'aws ec2/,
  )
  const other = await runCommandLine('/nowhere/mine', [], AbortSignal.timeout(5_000))
  assert.deepEqual(other, { kind: 'not-run', says: '/nowhere/mine is not there' })
})
