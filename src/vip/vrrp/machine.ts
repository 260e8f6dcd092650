// One VRRP instance as a pure function: (settings, state, event, now) -> state and what to do, in this order. RFC 5798 and
// RFC 9568 where keepalived follows them, keepalived where it does not. It reads no clock; `nowMs` is monotonic.
//
//             start                       no advert for master-down, or owner
//   init ───────────────▶ backup ─────────────────────────────────────────────▶ master
//     │                     ▲  ▲   advert of a higher one, or own loop stalled    │
//     │ fault               │  └──────────────────────────────────────────────────┤
//     ▼       recovered     │                                                     │
//   fault ──────────────────┘ ◀──────────────── fault (sends priority 0) ─────────┘      any ── stop ──▶ stopped

import { compareAddresses } from './family.ts'
import { masterDownMs, OWNER_PRIORITY, skewMs, stallLimitMs, type TimerInputs } from './timers.ts'

export type Role = 'init' | 'backup' | 'master' | 'fault' | 'stopped'

/** What does not change while an instance runs. */
export interface MachineSettings {
  readonly version: 2 | 3
  /** Our source address: between two masters of one priority the higher address stays. */
  readonly address: string
  readonly advertMs: number
  readonly missingAdverts: number
  readonly preempts: boolean
  /** A lower master is left alone for this long since it was first heard. */
  readonly preemptDelayMs: number
  /** keepalived's `state`: a master waits for one advert alone when it starts. */
  readonly startsAs: 'backup' | 'master'
  /** Does a master answer a lower one by an advert and announcements? keepalived: unless lower_prio_no_advert. */
  readonly answersLower: boolean
  /** Does a master that steps down say so to the higher one first? keepalived's higher_prio_send_advert. */
  readonly answersHigher: boolean
}

/** The master as its adverts tell. */
export interface Peer {
  readonly address: string
  readonly priority: number
  readonly heardAtMs: number
}

export interface MachineState {
  readonly role: Role
  /** Ours, with the weights of all checks. */
  readonly priority: number
  /** When a timer event is due: the next advert of a master, the end of a backup's patience. */
  readonly wakeAtMs: number | undefined
  /** The master's interval. */
  readonly advertMs: number
  readonly master: Peer | undefined
  /** When our last advert left, as master. */
  readonly sentAtMs: number | undefined
  /** From when a lower master may be replaced; undefined while none was heard. */
  readonly preemptAtMs: number | undefined
}

export type MachineEvent =
  | { readonly kind: 'start' }
  | { readonly kind: 'timer' }
  | {
      readonly kind: 'advert'
      readonly source: string
      readonly priority: number
      readonly intervalMs: number
    }
  | { readonly kind: 'priority'; readonly priority: number }
  | { readonly kind: 'fault'; readonly why: string }
  | { readonly kind: 'recovered' }
  /** The addresses are gone from this host without our asking. */
  | { readonly kind: 'lost'; readonly why: string }
  | { readonly kind: 'stop' }

/** One thing to do. `drop` is finished before the next action begins; `take` adds the addresses and announces them. */
export type MachineAction =
  | { readonly kind: 'send'; readonly priority: number }
  | { readonly kind: 'take' }
  | { readonly kind: 'drop' }
  | { readonly kind: 'announce' }

export interface Step {
  readonly state: MachineState
  readonly actions: readonly MachineAction[]
  /** For the log, when something happened that people want to know. */
  readonly says?: string
  /** For how long a master had stood still, when that is why it gave up. */
  readonly stalledMs?: number
}

/** The state before the start. */
export function initialState(settings: MachineSettings, priority: number): MachineState {
  return {
    role: 'init',
    priority,
    wakeAtMs: undefined,
    advertMs: settings.advertMs,
    master: undefined,
    sentAtMs: undefined,
    preemptAtMs: undefined,
  }
}

/** What follows from an event at `nowMs`. A stall of our own is dealt with before the event itself. */
export function step(
  settings: MachineSettings,
  state: MachineState,
  event: MachineEvent,
  nowMs: number,
): Step {
  const stalledMs = stalledFor(settings, state, nowMs)
  if (stalledMs === undefined) return stepAwake(settings, state, event, nowMs)
  // Somebody else may be master by now: the addresses go first, whatever woke us.
  const dropped = toBackup(settings, { ...state, advertMs: settings.advertMs, master: undefined }, nowMs)
  const next = stepAwake(settings, dropped, event, nowMs)
  return {
    state: next.state,
    actions: [{ kind: 'drop' }, ...next.actions],
    stalledMs,
    says: `Entering BACKUP STATE: this process stood still for ${seconds(stalledMs)}, so another host may be master${next.says === undefined ? '' : `; ${next.says}`}`,
  }
}

/** For how long a master sent nothing although peers may have given it up; undefined when all is well. */
export function stalledFor(
  { advertMs, missingAdverts }: MachineSettings,
  { role, sentAtMs }: MachineState,
  nowMs: number,
): number | undefined {
  if (role !== 'master' || sentAtMs === undefined) return undefined
  const silentMs = nowMs - sentAtMs
  return silentMs > stallLimitMs({ advertMs, missingAdverts }) ? silentMs : undefined
}

function stepAwake(settings: MachineSettings, state: MachineState, event: MachineEvent, nowMs: number): Step {
  if (state.role === 'stopped') return { state, actions: [] }
  switch (event.kind) {
    case 'start':
      return state.role === 'init' ? start(settings, state, nowMs) : { state, actions: [] }
    case 'timer':
      return onTimer(settings, state, nowMs)
    case 'advert':
      if (state.role === 'backup') return onAdvertAsBackup(settings, state, event, nowMs)
      if (state.role === 'master') return onAdvertAsMaster(settings, state, event, nowMs)
      return { state, actions: [] }
    case 'priority':
      return onPriority(settings, state, event.priority)
    case 'fault':
      return leave(state, 'fault', `Entering FAULT STATE: ${event.why}`)
    case 'recovered':
      return state.role === 'fault' ? start(settings, state, nowMs) : { state, actions: [] }
    case 'lost':
      return onLost(settings, state, event.why, nowMs)
    case 'stop':
      return leave(state, 'stopped', 'stopping')
  }
}

/** Into the election: an owner is master at once, everybody else listens first. */
function start(settings: MachineSettings, state: MachineState, nowMs: number): Step {
  const fresh = { ...state, advertMs: settings.advertMs, master: undefined, preemptAtMs: undefined }
  if (state.priority === OWNER_PRIORITY) return toMaster(settings, fresh, nowMs, 'owner of the addresses')
  const isFirst = state.role === 'init'
  const inputs = timerInputs(settings, fresh)
  const waitMs =
    isFirst && settings.startsAs === 'master' ? settings.advertMs + skewMs(inputs) : masterDownMs(inputs)
  return {
    state: { ...fresh, role: 'backup', sentAtMs: undefined, wakeAtMs: nowMs + waitMs },
    // What an earlier life of this process left behind is not ours.
    actions: isFirst ? [{ kind: 'drop' }] : [],
    says: `Entering BACKUP STATE${isFirst ? ' (init)' : ''}`,
  }
}

function onTimer(settings: MachineSettings, state: MachineState, nowMs: number): Step {
  const { wakeAtMs } = state
  if (wakeAtMs === undefined || nowMs < wakeAtMs) return { state, actions: [] }
  if (state.role === 'master') {
    const onTimeMs = wakeAtMs + settings.advertMs
    return advertise(settings, { ...state, wakeAtMs: onTimeMs > nowMs ? onTimeMs : undefined }, nowMs)
  }
  if (state.role !== 'backup') return { state, actions: [] }
  const { master } = state
  const why =
    master === undefined
      ? 'no other master'
      : `no advert of ${master.address} for ${seconds(nowMs - master.heardAtMs)}`
  return toMaster(settings, state, nowMs, why)
}

/** The advert first: whoever else is about to take over hears it before the addresses move. */
function toMaster(settings: MachineSettings, state: MachineState, nowMs: number, why: string): Step {
  const next: MachineState = {
    ...state,
    role: 'master',
    advertMs: settings.advertMs,
    master: undefined,
    preemptAtMs: undefined,
    sentAtMs: nowMs,
    wakeAtMs: nowMs + settings.advertMs,
  }
  return {
    state: next,
    actions: [{ kind: 'send', priority: state.priority }, { kind: 'take' }],
    says: `Entering MASTER STATE: ${why}`,
  }
}

function advertise({ advertMs }: MachineSettings, state: MachineState, nowMs: number): Step {
  return {
    state: { ...state, sentAtMs: nowMs, wakeAtMs: state.wakeAtMs ?? nowMs + advertMs },
    actions: [{ kind: 'send', priority: state.priority }],
  }
}

type AdvertEvent = Extract<MachineEvent, { readonly kind: 'advert' }>

function onAdvertAsBackup(
  settings: MachineSettings,
  state: MachineState,
  advert: AdvertEvent,
  nowMs: number,
): Step {
  const heard = { address: advert.source, priority: advert.priority, heardAtMs: nowMs }
  if (advert.priority === 0) {
    const wakeAtMs = nowMs + skewMs(timerInputs(settings, state))
    return {
      state: { ...state, master: heard, wakeAtMs },
      actions: [],
      says: `${advert.source} gives up (priority 0)`,
    }
  }
  const isLower = advert.priority < state.priority
  if (isLower && mayPreempt(settings, state, nowMs)) {
    // Not an advert that keeps us waiting: the timer runs on, and then we are master.
    return {
      state: { ...state, master: { ...heard, heardAtMs: state.master?.heardAtMs ?? nowMs } },
      actions: [],
    }
  }
  const adopted = { ...state, master: heard, advertMs: intervalOf(settings, advert) }
  return {
    state: {
      ...adopted,
      preemptAtMs: isLower ? (state.preemptAtMs ?? nowMs + settings.preemptDelayMs) : undefined,
      wakeAtMs: nowMs + masterDownMs(timerInputs(settings, adopted)),
    },
    actions: [],
  }
}

function mayPreempt(
  { preempts, preemptDelayMs }: MachineSettings,
  state: MachineState,
  nowMs: number,
): boolean {
  if (!preempts) return false
  return preemptDelayMs === 0 || (state.preemptAtMs !== undefined && nowMs >= state.preemptAtMs)
}

function onAdvertAsMaster(
  settings: MachineSettings,
  state: MachineState,
  advert: AdvertEvent,
  nowMs: number,
): Step {
  const byAddress = compareAddresses(advert.source, settings.address)
  const order = Math.sign(advert.priority - state.priority) || Math.sign(byAddress)
  // A peer that gives up waits for nobody; whoever else hears it must hear us, too.
  if (advert.priority === 0) return advertise(settings, { ...state, wakeAtMs: undefined }, nowMs)
  if (order === 0) return { state, actions: [] }
  if (order < 0) return onLower(settings, state, advert, nowMs)
  const last: readonly MachineAction[] = settings.answersHigher
    ? [{ kind: 'send', priority: state.priority }]
    : []
  const heard = { address: advert.source, priority: advert.priority, heardAtMs: nowMs }
  const adopted = { ...state, advertMs: intervalOf(settings, advert), master: heard }
  return {
    state: toBackup(settings, adopted, nowMs),
    actions: [...last, { kind: 'drop' }],
    says: `Entering BACKUP STATE: ${advert.source} has priority ${advert.priority}, ours is ${state.priority}`,
  }
}

/** Answers to lower masters are this far apart at least: a flood of adverts must not make one of ours. */
const ANSWER_GAP_SHARE = 0.1

function onLower(settings: MachineSettings, state: MachineState, advert: AdvertEvent, nowMs: number): Step {
  const gapMs = nowMs - (state.sentAtMs ?? Number.NEGATIVE_INFINITY)
  if (!settings.answersLower || gapMs < settings.advertMs * ANSWER_GAP_SHARE) return { state, actions: [] }
  const { state: next, actions } = advertise(settings, { ...state, wakeAtMs: undefined }, nowMs)
  return {
    state: next,
    actions: [...actions, { kind: 'announce' }],
    says: `${advert.source} is master, too, with priority ${advert.priority}, ours is ${state.priority}: told it so`,
  }
}

/** A master without addresses is none: others may take them at once, and so may we after that. */
function onLost(settings: MachineSettings, state: MachineState, why: string, nowMs: number): Step {
  if (state.role !== 'master') return { state, actions: [] }
  return {
    state: toBackup(settings, { ...state, advertMs: settings.advertMs, master: undefined }, nowMs),
    actions: [{ kind: 'drop' }, { kind: 'send', priority: 0 }],
    says: `Entering BACKUP STATE: ${why}`,
  }
}

function toBackup(settings: MachineSettings, state: MachineState, nowMs: number): MachineState {
  return {
    ...state,
    role: 'backup',
    sentAtMs: undefined,
    preemptAtMs: undefined,
    wakeAtMs: nowMs + masterDownMs(timerInputs(settings, state)),
  }
}

function onPriority(settings: MachineSettings, state: MachineState, priority: number): Step {
  if (state.priority === OWNER_PRIORITY || priority === state.priority) return { state, actions: [] }
  const says = `Changing effective priority from ${state.priority} to ${priority}`
  const next = { ...state, priority }
  // A master says it with its next advert.
  if (state.role !== 'backup' || state.wakeAtMs === undefined) return { state: next, actions: [], says }
  // Otherwise a backup that has become the better one would still come after the others.
  const laterMs = skewMs(timerInputs(settings, next)) - skewMs(timerInputs(settings, state))
  return { state: { ...next, wakeAtMs: state.wakeAtMs + laterMs }, actions: [], says }
}

function leave(state: MachineState, role: 'fault' | 'stopped', says: string): Step {
  if (state.role === role) return { state, actions: [] }
  const next: MachineState = { ...state, role, wakeAtMs: undefined, sentAtMs: undefined, master: undefined }
  if (state.role === 'init') return { state: next, actions: [{ kind: 'drop' }], says }
  if (state.role !== 'master') return { state: next, actions: [], says }
  // Nothing but the addresses' removal comes before priority 0: the next master takes them as soon as it hears that.
  return { state: next, actions: [{ kind: 'drop' }, { kind: 'send', priority: 0 }], says }
}

/** Version 2 has one interval for all; in version 3 everybody waits by the master's. */
function intervalOf({ version, advertMs }: MachineSettings, advert: AdvertEvent): number {
  return version === 3 && advert.intervalMs > 0 ? advert.intervalMs : advertMs
}

function timerInputs({ version, missingAdverts }: MachineSettings, state: MachineState): TimerInputs {
  return { version, priority: state.priority, advertMs: state.advertMs, missingAdverts }
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`
}
