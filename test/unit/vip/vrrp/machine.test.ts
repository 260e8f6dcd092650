// The state machine of VRRP, as stories: what happens, line by line, and what follows. Times are milliseconds.

import assert from 'node:assert/strict'
import test from 'node:test'
import {
  initialState,
  type MachineEvent,
  type MachineSettings,
  type MachineState,
  step,
} from '../../../../src/vip/vrrp/machine.ts'

const version2: MachineSettings = {
  version: 2,
  address: '10.0.0.5',
  advertMs: 1000,
  missingAdverts: 3,
  preempts: true,
  preemptDelayMs: 0,
  startsAs: 'backup',
  answersLower: true,
  answersHigher: false,
}
const version3: MachineSettings = { ...version2, version: 3, advertMs: 100 }

const peer = '10.0.0.4'
const timer: MachineEvent = { kind: 'timer' }
const advert = (priority: number, source = peer, intervalMs = 1000): MachineEvent => {
  return { kind: 'advert', source, priority, intervalMs }
}
const setPriority = (priority: number): MachineEvent => ({ kind: 'priority', priority })
const fault: MachineEvent = { kind: 'fault', why: 'eth0 is down' }

/** When, what, and `role: actions` after it, with the next wake-up behind `@` where it matters. */
type Line = readonly [atMs: number, event: MachineEvent, after: string]

interface Story {
  readonly what: string
  readonly settings?: Partial<MachineSettings>
  readonly priority?: number
  readonly lines: readonly Line[]
}

const start: MachineEvent = { kind: 'start' }
/** The start of a backup of priority 100 that nobody answers: master after 3 s and a skew of 156/256 s. */
const alone: readonly Line[] = [
  [0, start, 'backup: drop @3609.375'],
  [3609.375, timer, 'master: send 100, take @4609.375'],
]

const stories: readonly Story[] = [
  { what: 'alone, a backup becomes master after three adverts and its skew', lines: alone },
  {
    what: 'state MASTER waits for one advert and the skew alone',
    settings: { startsAs: 'master' },
    lines: [
      [0, start, 'backup: drop @1609.375'],
      [1609.375, timer, 'master: send 100, take'],
    ],
  },
  {
    what: 'the owner of the addresses is master at once, and no check changes its priority',
    priority: 255,
    lines: [
      [0, start, 'master: send 255, take'],
      [10, setPriority(254), 'master:'],
      [1000, timer, 'master: send 255'],
    ],
  },
  {
    what: 'a master sends at its interval without drifting',
    lines: [
      ...alone,
      [4615, timer, 'master: send 100 @5609.375'],
      [5609.375, timer, 'master: send 100 @6609.375'],
    ],
  },
  {
    what: 'a timer that comes early does nothing',
    lines: [
      [0, start, 'backup: drop'],
      [3609, timer, 'backup: @3609.375'],
    ],
  },
  {
    what: 'adverts of a higher master keep a backup waiting',
    lines: [
      [0, start, 'backup: drop'],
      [1000, advert(110), 'backup: @4609.375'],
      [2000, advert(110), 'backup: @5609.375'],
      [5609.375, timer, 'master: send 100, take'],
    ],
  },
  {
    what: 'a master of the same priority is left alone, even with a lower address',
    lines: [
      [0, start, 'backup: drop'],
      [1000, advert(100, '10.0.0.1'), 'backup: @4609.375'],
    ],
  },
  {
    what: 'priority 0 lets a backup take over after the skew alone',
    lines: [
      [0, start, 'backup: drop'],
      [1000, advert(110), 'backup: @4609.375'],
      [2000, advert(0), 'backup: @2609.375'],
      [2609.375, timer, 'master: send 100, take'],
    ],
  },
  {
    what: 'a lower master is not heard: the timer runs on, and it is replaced',
    lines: [
      [0, start, 'backup: drop'],
      [1000, advert(90), 'backup: @3609.375'],
      [3609.375, timer, 'master: send 100, take'],
    ],
  },
  {
    what: 'nopreempt lets a lower master be',
    settings: { preempts: false },
    lines: [
      [0, start, 'backup: drop'],
      [1000, advert(90), 'backup: @4609.375'],
      [4000, advert(90), 'backup: @7609.375'],
      [7609.375, timer, 'master: send 100, take'],
    ],
  },
  {
    what: 'preempt_delay lets a lower master be for that long since it was first heard',
    settings: { preemptDelayMs: 5000 },
    lines: [
      [0, start, 'backup: drop'],
      [1000, advert(90), 'backup: @4609.375'],
      [5500, advert(90), 'backup: @9109.375'],
      [6000, advert(90), 'backup: @9109.375'],
      [9109.375, timer, 'master: send 100, take'],
    ],
  },
  {
    what: 'a higher master in between starts the preempt_delay anew',
    settings: { preemptDelayMs: 5000 },
    lines: [
      [0, start, 'backup: drop'],
      [1000, advert(90), 'backup: @4609.375'],
      [2000, advert(110), 'backup: @5609.375'],
      [3000, advert(90), 'backup: @6609.375'],
      [6500, advert(90), 'backup: @10109.375'],
    ],
  },
  {
    what: 'our priority goes up above the master’s: its adverts are heard no more',
    lines: [
      [0, start, 'backup: drop'],
      [1000, advert(105), 'backup: @4609.375'],
      [1500, setPriority(110), 'backup: @4570.3125'],
      [2000, advert(105), 'backup: @4570.3125'],
      [4570.3125, timer, 'master: send 110, take'],
    ],
  },
  {
    what: 'the wait of a backup whose priority changes is as long as its new skew',
    lines: [
      [0, start, 'backup: drop @3609.375'],
      [1000, setPriority(36), 'backup: @3859.375'],
      [2000, setPriority(228), 'backup: @3109.375'],
      [3109.375, timer, 'master: send 228, take'],
    ],
  },
  {
    what: 'a master whose priority falls says so with its next advert',
    lines: [...alone, [4000, setPriority(90), 'master:'], [4609.375, timer, 'master: send 90']],
  },
  {
    what: 'a master that hears a higher one drops the addresses and waits for it',
    lines: [...alone, [4000, advert(110), 'backup: drop @7609.375']],
  },
  {
    what: 'with higher_prio_send_advert it says so first',
    settings: { answersHigher: true },
    lines: [...alone, [4000, advert(110), 'backup: send 100, drop']],
  },
  {
    what: 'of two masters of one priority the one with the lower address gives way',
    lines: [...alone, [4000, advert(100, '10.0.0.6'), 'backup: drop']],
  },
  {
    what: 'and the one with the higher address answers and announces itself',
    lines: [...alone, [4000, advert(100, '10.0.0.4'), 'master: send 100, announce @5000']],
  },
  {
    what: 'a master that hears a lower one answers at once and announces itself',
    lines: [...alone, [4000, advert(90), 'master: send 100, announce @5000']],
  },
  {
    what: 'a flood of lower adverts makes no flood of answers',
    lines: [
      ...alone,
      [4000, advert(90), 'master: send 100, announce'],
      [4010, advert(90), 'master:'],
      [4099, advert(90), 'master:'],
      [4100, advert(90), 'master: send 100, announce'],
    ],
  },
  {
    what: 'with lower_prio_no_advert it does nothing',
    settings: { answersLower: false },
    lines: [...alone, [4000, advert(90), 'master: @4609.375']],
  },
  {
    what: 'a master that hears priority 0 sends at once',
    lines: [...alone, [4000, advert(0), 'master: send 100 @5000']],
  },
  {
    what: 'a stop drops the addresses first, then lets others take them',
    lines: [...alone, [4000, { kind: 'stop' }, 'stopped: drop, send 0'], [4100, advert(90), 'stopped:']],
  },
  {
    what: 'a backup stops in silence',
    lines: [
      [0, start, 'backup: drop'],
      [100, { kind: 'stop' }, 'stopped:'],
    ],
  },
  {
    what: 'a fault of a master: addresses down, priority 0, no election until it is over',
    lines: [
      ...alone,
      [4000, fault, 'fault: drop, send 0'],
      [9000, timer, 'fault:'],
      [9000, advert(90), 'fault:'],
      [9100, { kind: 'recovered' }, 'backup: @12709.375'],
    ],
  },
  {
    what: 'a fault before the start: what an earlier process left goes',
    lines: [
      [0, fault, 'fault: drop'],
      [100, { kind: 'recovered' }, 'backup: @3709.375'],
    ],
  },
  {
    what: 'a master that stood still for three adverts drops the addresses before anything else',
    lines: [...alone, [6609.5, timer, 'backup: drop @10218.875']],
  },
  {
    what: 'so it does when a packet wakes it, and then judges the packet as a backup',
    lines: [...alone, [8000, advert(90), 'backup: drop @11609.375'], [8100, advert(0), 'backup: @8709.375']],
  },
  {
    what: 'standing still for less is made up for',
    lines: [...alone, [6609, timer, 'master: send 100 @7609']],
  },
  {
    what: 'addresses that the keeper dropped end the mastership, and others may take over at once',
    lines: [...alone, [4000, { kind: 'lost', why: 'the guard is gone' }, 'backup: drop, send 0 @7609.375']],
  },
]

for (const { what, settings, priority = 100, lines } of stories) {
  test(what, () => play({ ...version2, ...settings }, priority, lines))
}

const stories3: readonly Story[] = [
  {
    what: 'version 3: the skew is a share of the interval',
    lines: [
      [0, start, 'backup: drop @360.9375'],
      [360.9375, timer, 'master: send 100, take @460.9375'],
    ],
  },
  {
    what: 'version 3: a backup waits by the master’s interval, and as master sends at its own',
    lines: [
      [0, start, 'backup: drop'],
      [100, advert(110, peer, 1000), 'backup: @3709.375'],
      [200, advert(0, peer, 1000), 'backup: @809.375'],
      [809.375, timer, 'master: send 100, take @909.375'],
    ],
  },
  {
    what: 'version 3 with 100 ms: standing still for 300 ms costs the addresses',
    lines: [
      [0, start, 'backup: drop'],
      [360.9375, timer, 'master: send 100, take'],
      [661, timer, 'backup: drop'],
    ],
  },
]
for (const { what, settings, priority = 100, lines } of stories3) {
  test(what, () => play({ ...version3, ...settings }, priority, lines))
}

test('the state that is given is not changed', () => {
  const state = Object.freeze(initialState(version2, 100))
  assert.equal(step(version2, state, start, 0).state.role, 'backup')
  assert.equal(state.role, 'init')
})

function play(settings: MachineSettings, priority: number, lines: readonly Line[]): void {
  let state: MachineState = initialState(settings, priority)
  for (const [index, [atMs, event, after]] of lines.entries()) {
    const result = step(settings, state, event, atMs)
    state = result.state
    const actions = result.actions.map(action =>
      action.kind === 'send' ? `send ${action.priority}` : action.kind,
    )
    const wake = after.includes('@') ? ` @${state.wakeAtMs}` : ''
    const seen = `${state.role}: ${actions.join(', ')}${wake}`.replace(/: {2}@/, ': @').trim()
    assert.equal(seen, after, `line ${index + 1}: ${event.kind} at ${atMs}`)
  }
}
