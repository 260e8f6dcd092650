import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import test from 'node:test'
import { LineTerminal } from '../../../src/ctl/line-terminal.ts'

function open(): { input: PassThrough; terminal: LineTerminal; printed: () => string } {
  const input = new PassThrough()
  const output = new PassThrough()
  const terminal = new LineTerminal(input, output, new PassThrough())
  return { input, terminal, printed: () => String(output.read() ?? '') }
}

test('answers that come in one piece go to one question each', async () => {
  const { input, terminal, printed } = open()
  input.end('pg1\n\r\nmaybe\ny\n')
  assert.equal(await terminal.ask('Primary', 'pg0'), 'pg1')
  assert.equal(await terminal.ask('Candidate', 'best'), 'best')
  assert.equal(await terminal.confirm('Sure?'), true)
  assert.equal(printed(), 'Primary [pg0]: Candidate [best]: Sure? [y/N]: Error: invalid input\nSure? [y/N]: ')
})

test('nothing typed means no', async () => {
  const { input, terminal } = open()
  input.end('\n')
  assert.equal(await terminal.confirm('Sure?'), false)
})

test('the end of the input aborts the question', async () => {
  const { input, terminal } = open()
  input.end()
  await assert.rejects(terminal.ask('Primary', ''), { message: 'Aborted!', exitCode: 1 })
})

test('an interrupt while a question waits aborts it', async () => {
  const { terminal } = open()
  const question = terminal.confirm('Sure?')
  terminal.close()
  await assert.rejects(question, { message: 'Aborted!' })
})

/** A keyboard that can be read key by key, and how it was set. */
function keyboard() {
  const modes: boolean[] = []
  const setRawMode = (isRaw: boolean) => modes.push(isRaw)
  const input = Object.assign(new PassThrough(), { setRawMode })
  const output = new PassThrough()
  const terminal = new LineTerminal(input, output, new PassThrough())
  return { input, terminal, modes, printed: () => String(output.read() ?? '') }
}

test('a password is asked for without showing it, and a wrong key is taken back', async () => {
  const { input, terminal, modes, printed } = keyboard()
  const typed = terminal.secret('Password')
  for (const keys of ['geh', 'ei', 'n\u007fm', '\r']) input.write(keys)
  assert.equal(await typed, 'geheim')
  assert.equal(printed(), 'Password: \n')
  assert.deepEqual(modes, [true, false])
})

test('an interrupt while a password is typed aborts, and the keyboard is as it was', async () => {
  const { input, terminal, modes } = keyboard()
  const typed = terminal.secret('Password')
  input.write('ge\u0003')
  await assert.rejects(typed, { message: 'Aborted!', exitCode: 1 })
  assert.deepEqual(modes, [true, false])
})

test('without a keyboard a password is one line of the input', async () => {
  const { input, terminal } = open()
  input.end('geheim\n')
  assert.equal(await terminal.secret('Password'), 'geheim')
})

for (const [columns, rows, wanted] of [
  [0, 0, { columns: 80, rows: 24 }],
  [120, 50, { columns: 120, rows: 50 }],
] as const) {
  test(`a screen of ${columns} by ${rows} is taken for ${wanted.columns} by ${wanted.rows}`, () => {
    const size = columns === undefined ? {} : { columns, rows }
    const screen = Object.assign(new PassThrough(), { isTTY: true, ...size })
    assert.deepEqual(new LineTerminal(new PassThrough(), screen, new PassThrough()).size, wanted)
  })
}
