import assert from 'node:assert/strict'
import test from 'node:test'
import { applySettings } from '../../../src/ctl/config-change.ts'
import { unifiedDiff } from '../../../src/ctl/diff.ts'
import { type EditOptions, editConfig } from '../../../src/ctl/edit-config.ts'
import { Deadline } from '../../../src/platform/deadline.ts'
import { ctlScene } from '../../support/ctl-scene.ts'

const config = { ttl: 30, postgresql: { parameters: { 'a.b': 'x', work_mem: '4MB' } } }
const settings: readonly (readonly [readonly string[], unknown])[] = [
  [['ttl=40'], { ...config, ttl: 40 }],
  [["ttl='40'"], { ...config, ttl: '40' }],
  [['ttl=null'], { postgresql: config.postgresql }],
  [['ttl='], { postgresql: config.postgresql }],
  [['x.y.z=yes'], { ...config, x: { y: { z: true } } }],
  [['x={a: [1, no]}'], { ...config, x: { a: [1, false] } }],
  [['postgresql.parameters.a.b=null'], { ttl: 30, postgresql: { parameters: { work_mem: '4MB' } } }],
  [['postgresql.parameters.a.b=null', 'postgresql.parameters.work_mem=null'], { ttl: 30 }],
  [['ttl.x=1'], { ...config, ttl: { x: 1 } }],
  [[' ttl =a=b'], { ...config, ttl: 'a=b' }],
]
for (const [given, expected] of settings) {
  test(`edit-config -s ${given.join(' -s ')}`, () => {
    assert.deepEqual(applySettings(config, given), expected)
  })
}

test('a setting without = or with no YAML behind it is refused by name', () => {
  assert.throws(() => applySettings(config, ['ttl']), { message: 'Invalid parameter setting ttl' })
  assert.throws(() => applySettings(config, ['ttl={']), {
    message: /^Invalid YAML in the parameter setting ttl=\{/,
  })
})

const numbers = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => String(from + index)).join('\n')

const diffs: readonly (readonly [string, string, string, readonly string[]])[] = [
  ['nothing', 'a\nb\n', 'a\nb\n', []],
  ['one line changed', 'a\nb\nc\n', 'a\nx\nc\n', ['--- ', '+++ ', '@@ -1,3 +1,3 @@', ' a', '-b', '+x', ' c']],
  ['one line alone', 'a\n', 'b\n', ['--- ', '+++ ', '@@ -1 +1 @@', '-a', '+b']],
  ['a line added at the end', 'a\nb\n', 'a\nb\nc\n', ['--- ', '+++ ', '@@ -1,2 +1,3 @@', ' a', ' b', '+c']],
  [
    'two places far from each other',
    numbers(1, 12),
    numbers(1, 12).replace('2\n', '').replace('11', 'x'),
    [
      ...['--- ', '+++ ', '@@ -1,5 +1,4 @@', ' 1', '-2', ' 3', ' 4', ' 5'],
      ...['@@ -8,5 +7,5 @@', ' 8', ' 9', ' 10', '-11', '+x', ' 12'],
    ],
  ],
]
for (const [what, before, after, expected] of diffs) {
  test(`the diff of ${what}`, () => {
    assert.deepEqual(unifiedDiff(before, after), expected)
  })
}

const forced: EditOptions = {
  quiet: false,
  settings: ['ttl=40'],
  parameters: [],
  apply: undefined,
  replace: undefined,
  force: true,
  wait: false,
}
const noPrograms = {
  run: async () => 1,
  editor: async () => 'editor',
  pager: async () => 'pager',
}

test('the change is written only over the revision that was shown', async () => {
  const { context, terminal, dcs, clock } = await ctlScene([])
  await editConfig(context, noPrograms, undefined, forced)
  assert.match(terminal.printed, /^--- \n\+\+\+ \n@@[\s\S]*\n-ttl: 30\n\+ttl: 40\nConfiguration changed\n$/)
  const view = await dcs.read(Deadline.in(clock, 1_000))
  assert.equal(view.config?.value['ttl'], 40)
})

test('somebody else was faster while the question waited: nothing is written', async () => {
  const scene = await ctlScene(['y'])
  const { context, terminal, dcs, clock } = scene
  const confirm = terminal.confirm.bind(terminal)
  terminal.confirm = async question => {
    await dcs.write([], [{ kind: 'put', key: 'config', value: '{"ttl":50}' }], Deadline.in(clock, 1_000))
    return confirm(question)
  }
  await assert.rejects(editConfig(context, noPrograms, undefined, { ...forced, force: false }), {
    message: 'Config modification aborted due to concurrent changes',
  })
  assert.equal((await dcs.read(Deadline.in(clock, 1_000))).config?.value['ttl'], 50)
})

test('a file laid over, a file in place and single settings apply in this order', async () => {
  const { context, dcs, clock } = await ctlScene(['ttl: 50', 'a: {b: 1}'])
  await editConfig(context, noPrograms, undefined, { ...forced, settings: ['a.c=2'], apply: '-' })
  const { config: stored } = await dcs.read(Deadline.in(clock, 1_000))
  assert.deepEqual(stored?.value, { ttl: 50, loop_wait: 10, retry_timeout: 10, a: { b: 1, c: 2 } })
})

test('an editor that fails changes nothing', async () => {
  const { context } = await ctlScene([])
  await assert.rejects(editConfig(context, noPrograms, undefined, { ...forced, settings: [] }), {
    message: 'Editor exited with return code 1',
  })
})
