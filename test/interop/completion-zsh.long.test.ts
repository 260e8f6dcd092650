// The completion of zsh in a real zsh: a line is typed, and a tab.

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import test, { after } from 'node:test'
import { ctlCommand } from '../../src/commands/ctl.ts'
import { completionScript } from '../../src/commands/ctl-completion.ts'
import { runProgram } from '../support/run-program.ts'
import { makeWorkplace } from '../support/workplace.ts'

const DRIVER = path.resolve(import.meta.dirname, '../fixtures/ctl/complete.zsh')
const work = await makeWorkplace({ after })
const script = path.join(work.data, '_pgherdctl')
await writeFile(script, completionScript(ctlCommand(), 'zsh', 'pgherdctl'))

for (const [typed, completed] of [
  ['swi', 'switchover'],
  ['restart main --pe', 'restart main --pending'],
  ['-c file restart main --pe', '-c file restart main --pending'],
  ['list -f yam', 'list -f yaml'],
  ['completion z', 'completion zsh'],
  ['--st', '--strict'],
]) {
  test(`zsh makes "pgherdctl ${typed}" to "${completed}"`, async () => {
    const ran = await runProgram(['zsh', '-f', DRIVER, script, `pgherdctl ${typed}`])
    const line = /^LINE: (.*?) *\r?$/m.exec(ran.stdout)?.[1]
    assert.equal(line, `pgherdctl ${completed}`, ran.stderr)
  })
}
