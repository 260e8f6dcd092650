// Commands that go on until they are interrupted: what they print again, and how they end.

import assert from 'node:assert/strict'
import test from 'node:test'
import { events } from '../../../src/ctl/events.ts'
import { list } from '../../../src/ctl/list.ts'
import { top } from '../../../src/ctl/top.ts'
import { Deadline } from '../../../src/platform/deadline.ts'
import { ctlScene } from '../../support/ctl-scene.ts'

const once = { format: 'pretty', extended: false, timestamp: false, topology: false } as const
const ESCAPE = String.fromCharCode(27)
const HOME = `${ESCAPE}[H`
const BEGIN = `${ESCAPE}[?1049h${ESCAPE}[?25l`
const END = `${ESCAPE}[?25h${ESCAPE}[?1049l`

/** What was printed after each clearing of the screen. */
const screens = (printed: string) => printed.split('[cleared]\n').slice(1)

function told(...says: readonly string[]) {
  const event = (text: string, n: number) => ({
    id: n,
    time: `2026-01-01T00:00:0${n}.000Z`,
    source: 'pg1',
    kind: 'promoted',
    says: text,
  })
  return { code: 200, text: JSON.stringify(says.map(event)) }
}

for (const topology of [false, true]) {
  test(`${topology ? 'topology' : 'list'} -w clears the screen and prints again after that time, until it is interrupted`, async () => {
    const { context, terminal, clock, dcs, interrupt } = await ctlScene([])
    const running = list(context, [], { ...once, topology, everySeconds: 2 })
    await clock.advance(0)
    await dcs.write([], [{ kind: 'delete', key: 'members/pg3' }], Deadline.in(clock, 1_000))
    await clock.advance(1_999)
    assert.equal(screens(terminal.printed).length, 1)
    await clock.advance(1)
    const [first = '', second = '', ...more] = screens(terminal.printed)
    assert.deepEqual(more, [])
    assert.match(first, /pg3/)
    assert.doesNotMatch(second, /pg3/)
    interrupt()
    await running
    await clock.advance(10_000)
    assert.equal(screens(terminal.printed).length, 2)
    assert.equal(clock.timers, 0)
  })
}

test('top draws frame over frame on a second screen, and gives the first one back when it is interrupted', async () => {
  const { context, terminal, clock, interrupt } = await ctlScene([], told('promoted'))
  terminal.isScreen = true
  const running = top(context, undefined, { everySeconds: 1, frames: undefined })
  await clock.advance(2_500)
  interrupt()
  await running
  assert.ok(terminal.printed.startsWith(BEGIN + HOME), JSON.stringify(terminal.printed.slice(0, 30)))
  assert.ok(terminal.printed.endsWith(END))
  const frames = terminal.printed.split(HOME).slice(1)
  assert.equal(frames.length, 3)
  for (const frame of frames) assert.match(frame, /main: pg1 leads/)
  assert.equal(clock.timers, 0)
})

test('top says in its frame that etcd does not answer, and goes on when it does', async () => {
  const { context, terminal, clock, dcs } = await ctlScene([], told('promoted'))
  terminal.isScreen = true
  dcs.setFaults({ unreachable: true })
  const running = top(context, undefined, { everySeconds: 1, frames: 2 })
  await clock.advance(500)
  assert.match(terminal.printed, /Can not read the cluster main/)
  dcs.setFaults({})
  await clock.advance(1_000)
  await running
  assert.match(terminal.printed, /main: pg1 leads/)
  assert.ok(terminal.printed.endsWith(END))
})

test('events --follow prints each event that comes once, until it is interrupted', async () => {
  let says = ['first']
  const { context, terminal, clock, interrupt } = await ctlScene([], ({ url }) =>
    url.includes('10.0.0.1') ? told(...says) : { code: 501, text: '' },
  )
  const running = events(context, undefined, { count: 10, format: 'tsv', follow: true })
  await clock.advance(1_500)
  const before = terminal.printed
  assert.match(before, /\tfirst\n$/)
  says = ['first', 'second', 'third']
  await clock.advance(3_000)
  assert.match(
    terminal.printed.slice(before.length),
    /^\S+ \S+ pg1 promoted: second\n\S+ \S+ pg1 promoted: third\n$/,
  )
  interrupt()
  await running
  // Who tells none is named once, not again with each look.
  assert.equal(terminal.warned.match(/pg2 tells no events/g)?.length, 1)
})
