import assert from 'node:assert/strict'
import test from 'node:test'
import { colourTables } from '../../../src/ctl/colour.ts'
import { list } from '../../../src/ctl/list.ts'
import { ctlScene } from '../../support/ctl-scene.ts'

const csi = `${String.fromCharCode(27)}[`
const options = {
  format: 'pretty',
  extended: false,
  timestamp: false,
  topology: false,
  everySeconds: undefined,
} as const

test('roles and states are coloured in their cells, and no width changes', () => {
  const text = '| pg1 | Leader  | running | * |\n| pg2 | Replica | stopped |   |\nrunning\n'
  const coloured = colourTables(text)
  assert.ok(
    coloured.startsWith(
      `| pg1 | ${csi}1mLeader${csi}0m  | ${csi}32mrunning${csi}0m | ${csi}33m*${csi}0m |\n`,
    ),
  )
  assert.ok(coloured.includes(`| Replica | ${csi}31mstopped${csi}0m |   |\nrunning\n`))
  assert.equal(
    coloured
      .split(csi)
      .map((part, index) => (index === 0 ? part : part.replace(/^\d+m/, '')))
      .join(''),
    text,
  )
})

test('the list has colours on a screen and nowhere else', async () => {
  const plain = await ctlScene([])
  await list(plain.context, [], options)
  assert.equal(plain.terminal.printed.includes(csi), false)
  const screen = await ctlScene([])
  screen.terminal.hasColours = true
  await list(screen.context, [], options)
  assert.equal(screen.terminal.printed, colourTables(plain.terminal.printed))
  assert.ok(screen.terminal.printed.includes(`${csi}1mLeader${csi}0m`))
})
