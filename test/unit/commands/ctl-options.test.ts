import assert from 'node:assert/strict'
import test from 'node:test'
import { ctlCommand } from '../../../src/commands/ctl.ts'

/** These have no group in patronictl either, or only we have them. */
const WITHOUT = [
  'demote-cluster',
  'promote-cluster',
  'dcs',
  'explain',
  'proxy',
  'events',
  'top',
  'completion',
]

test('every command of patronictl takes --group', () => {
  const commands = ctlCommand().commands.filter(command => command.description() !== '')
  const without = commands
    .filter(({ options }) => !options.some(({ long }) => long === '--group'))
    .map(command => command.name())
    .filter(name => name !== 'help')
  assert.ok(commands.length > 20)
  assert.deepEqual(
    without.filter(name => !WITHOUT.includes(name)),
    [],
  )
})
