import assert from 'node:assert/strict'
import test from 'node:test'
import { CommanderError } from 'commander'
import { ctlCommand } from '../../../src/commands/ctl.ts'
import { completionScript } from '../../../src/commands/ctl-completion.ts'

const refused: readonly (readonly [readonly string[], RegExp])[] = [
  [['configure'], /^error: configure: write a patroni\.yml, or give -d URL/],
  [['scaffold', 'main'], /^error: scaffold: this command is gone from patronictl, too/],
]
for (const [words, says] of refused) {
  test(`${words.join(' ')} says why not`, async () => {
    const ctl = ctlCommand()
    let said = ''
    for (const command of [ctl, ...ctl.commands])
      command.exitOverride().configureOutput({
        writeErr: text => {
          said += text
        },
      })
    await assert.rejects(ctl.parseAsync([...words], { from: 'user' }), CommanderError)
    assert.match(said, says)
  })
}

test('help and completion do not offer what is refused', () => {
  const ctl = ctlCommand()
  assert.doesNotMatch(ctl.helpInformation(), /scaffold/)
  for (const shell of ['bash', 'zsh'] as const) {
    const script = completionScript(ctl, shell, 'pgherdctl')
    assert.doesNotMatch(script, /scaffold/)
    assert.match(script, /edit-config/)
  }
})
