// What Debian's patronictl says of itself, against our commands and against the table that both are run by.

import assert from 'node:assert/strict'
import test from 'node:test'
import { ctlCommand } from '../../src/commands/ctl.ts'
import { gaps } from '../support/ctl-coverage.ts'
import { patronictlHelp } from '../support/ctl-help.ts'
import { ctlRows } from '../support/ctl-rows.ts'

const theirs = await patronictlHelp()

test('every command of patronictl 3.0.2 has a row in the table, and so has each of its options', t => {
  const options = theirs.flatMap(command => command.options)
  t.diagnostic(`${theirs.length - 1} commands, ${options.length} options, ${ctlRows.length} rows`)
  assert.ok(theirs.length > 15 && options.length > 50)
  const missing = theirs.flatMap(({ name, options }) =>
    gaps(
      name,
      options.map(({ names }) => names),
    ),
  )
  assert.deepEqual(missing, [])
})

test('every role that patronictl 3.0.2 takes has a row', () => {
  const roles = new Set(theirs.flatMap(({ options }) => options.flatMap(({ choices }) => choices)))
  assert.ok(roles.size > 5)
  // 3.0.2 takes every leader for one that does not say `master`, as members do that are newer: ours and Patroni 4.
  roles.delete('standby-leader')
  const given = new Set(
    ctlRows.flatMap(({ words }) => words.filter((_word, index) => words[index - 1] === '-r')),
  )
  assert.deepEqual(
    [...roles].filter(role => !given.has(role)),
    [],
  )
})

test('ours takes every option of patronictl 3.0.2, by each of its names, with the same words', () => {
  const ctl = ctlCommand()
  const missing: string[] = []
  for (const { name, options } of theirs) {
    const command = name === '' ? ctl : ctl.commands.find(each => each.name() === name)
    assert.ok(command, name)
    for (const { names, choices } of options) {
      const own = names.map(each => command.options.find(({ short, long }) => [short, long].includes(each)))
      names.forEach((each, index) => {
        if (own[index] === undefined) missing.push(`${name} ${each}`)
      })
      const words = own.find(option => option !== undefined)?.argChoices
      if (words !== undefined)
        missing.push(...choices.filter(choice => !words.includes(choice)).map(choice => `${name} ${choice}`))
    }
  }
  assert.deepEqual(missing, [])
})
