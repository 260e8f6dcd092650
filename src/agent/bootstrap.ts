// A cluster is born: one member claims the scope, makes the data, and takes the leader key in the same transaction that
// names it. A claim may be applied long after its caller gave it up, or be left by a process that died: the claimant's name
// is in it, and whoever bears that name takes it up, for a claim that nobody takes up would keep everybody waiting.

import { CLAIM_KEY, type ClaimInForce, claimInForce, printClaim } from '../cluster/claim.ts'
import { printJson } from '../cluster/json.ts'
import { printTerm, TERM_KEY } from '../cluster/term.ts'
import type { Condition, Write, Written } from '../dcs/dcs.ts'
import { Deadline } from '../platform/deadline.ts'
import { HaError, messageOf } from '../platform/errors.ts'
import type { Upstream } from '../postgres/port.ts'
import { historyMark, remoteUpstream } from './rules/source.ts'
import { takeSettings } from './server-settings.ts'
import { stopQuickly } from './stop-quickly.ts'
import { type MemoryUpdate, noUpdate } from './tasks.ts'
import { armWatchdog } from './watchdog.ts'
import type { WorkContext } from './work.ts'

const WRITE_MS = 10_000
const CONTROL_MS = 30_000
const SET_ASIDE_TIMEOUT_MS = 60_000
const GIVE_BACK_TRIES = 3
const GIVE_BACK_PAUSE_MS = 1_000

/** What must still hold of our claim: it is the one that we made or took up, and nobody has taken it up since. */
type Held = readonly Condition[]

/** Does nothing when another member was first. */
export async function bootstrapCluster(context: WorkContext, signal: AbortSignal): Promise<MemoryUpdate> {
  const { parts, state, fence, keeper } = context
  const ours = await claim(context)
  if (ours === undefined) return noUpdate
  // A restored server runs and is stopped before it is everybody's.
  state.isStopExpected = true
  if (parts.local.bootstrap.method !== undefined) state.bootstrapWord = 'running custom bootstrap script'
  try {
    const remote = remoteUpstream(state.config)
    const systemId =
      remote === undefined
        ? await parts.postgres.bootstrap(signal)
        : await copyRemote(context, remote, signal)
    if (remote === undefined) await armWatchdog(context)
    await lead(context, ours, systemId)
    state.lastTerm = keeper.hold?.createRevision
    state.lockMs = undefined
    const facts = { system_id: systemId }
    if (remote !== undefined) {
      const says = `initialized a standby cluster of (${remote.member})`
      parts.events.record({ kind: 'bootstrap', says, facts })
      const mark =
        keeper.hold === undefined ? undefined : historyMark(state.config, keeper.hold.createRevision)
      return memory => ({ ...memory, role: 'replica', cleanAgainst: mark })
    }
    fence.arm()
    parts.events.record({ kind: 'bootstrap', says: 'initialized a new cluster', facts })
    return memory => ({ ...memory, role: 'primary' })
  } catch (error) {
    await undo(context, ours, messageOf(error))
    return noUpdate
  }
}

/** Ends with a running standby of the other cluster, whose identity is ours too. */
async function copyRemote(context: WorkContext, remote: Upstream, signal: AbortSignal): Promise<string> {
  const { postgres, clock } = context.parts
  await takeSettings(context)
  await postgres.clone(remote, signal)
  if (!(await postgres.start('replica', remote, signal))) {
    signal.throwIfAborted()
    throw new HaError('E_BOOTSTRAP', 'the copy of the remote cluster did not start')
  }
  const control = await postgres.controlData(Deadline.in(clock, CONTROL_MS))
  if (control === undefined) throw new HaError('E_BOOTSTRAP', 'the control file of the copy cannot be read')
  return control.systemId
}

async function claim(context: WorkContext): Promise<Held | undefined> {
  const { clock, dcs, local } = context.parts
  const { view } = context.state
  const left = view === undefined ? undefined : claimInForce(view)
  const isOurs = left?.name === local.name
  const mark = printClaim({ name: local.name, since: `${clock.wallMs()} ${clock.monotonicMs()}` })
  const { outcome, revision } = await writeClaim(context, mark, isOurs ? left : undefined)
  if (outcome === 'won' && revision !== undefined)
    return held(isOurs ? left.initializeCreateRevision : revision, revision)
  if (outcome !== 'unknown') return undefined
  const now = await dcs.read(Deadline.in(clock, WRITE_MS))
  const found = claimInForce(now)
  if (found === undefined || now.own.get('claim')?.value !== mark) return undefined
  return held(found.initializeCreateRevision, found.modRevision)
}

function writeClaim({ parts }: WorkContext, mark: string, left: ClaimInForce | undefined): Promise<Written> {
  const by = Deadline.in(parts.clock, WRITE_MS)
  const put: Write = { kind: 'put', key: CLAIM_KEY, value: mark }
  const nobodyLeads: Condition = { kind: 'absent', key: 'leader' }
  if (left !== undefined) {
    parts.log.warning('taking up a bootstrap of this member that did not come to its end')
    const before = held(left.initializeCreateRevision, left.modRevision)
    return parts.dcs.write([...before, nobodyLeads], [put], by)
  }
  return parts.dcs.write(
    [{ kind: 'absent', key: 'initialize' }, nobodyLeads],
    [{ kind: 'put', key: 'initialize', value: '' }, put],
    by,
  )
}

function held(initializeCreateRevision: bigint, claimModRevision: bigint): Held {
  return [
    { kind: 'create-revision', key: 'initialize', revision: initializeCreateRevision },
    { kind: 'mod-revision', key: CLAIM_KEY, revision: claimModRevision },
  ]
}

async function lead(context: WorkContext, ours: Held, systemId: string): Promise<void> {
  const { parts, keeper } = context
  const { clock, dcs, local } = parts
  const writes: readonly Write[] = [
    { kind: 'put', key: 'initialize', value: systemId },
    { kind: 'put', key: 'config', value: printJson(local.bootstrap.dcs) },
    { kind: 'put', key: TERM_KEY, value: printTerm({ name: local.name, continues: undefined }) },
    { kind: 'delete', key: CLAIM_KEY },
  ]
  const outcome = await keeper.acquire(Deadline.in(clock, WRITE_MS), writes, ours)
  if (outcome === 'won') return
  if (outcome === 'unknown') {
    const asked = keeper.ask()
    const { leader } = await dcs.read(Deadline.in(clock, WRITE_MS))
    if (leader !== undefined && keeper.adopt(leader, asked)) return
  }
  throw new HaError('E_BOOTSTRAP', `the leader key was not taken (${outcome})`)
}

/** A failed bootstrap gives the scope back and keeps the half-made data for a look; the process ends. */
async function undo(context: WorkContext, ours: Held, why: string): Promise<void> {
  const { parts, state } = context
  const { clock, log, postgres } = parts
  log.critical(`failed to bootstrap cluster: ${why}`)
  await stopQuickly(context).catch(error => log.error(`stop after failed bootstrap: ${messageOf(error)}`))
  await postgres
    .setAside(Deadline.in(clock, SET_ASIDE_TIMEOUT_MS))
    .then(where => {
      if (where !== undefined) log.error(`the unfinished data directory is kept as ${where}`)
    })
    .catch(error => log.error(`could not set the data directory aside: ${messageOf(error)}`))
  const gone: readonly Write[] = [
    { kind: 'delete', key: 'initialize' },
    { kind: 'delete', key: CLAIM_KEY },
  ]
  await giveBack(context, ours, gone)
  state.exitCode = 1
}

async function giveBack({ parts }: WorkContext, ours: Held, gone: readonly Write[]): Promise<void> {
  const { clock, dcs, log } = parts
  for (let tries = 1; tries <= GIVE_BACK_TRIES; tries += 1) {
    const { outcome } = await dcs.write(ours, gone, Deadline.in(clock, WRITE_MS))
    // Refused: an earlier try was applied after all, or the scope is another one's by now.
    if (outcome === 'won' || outcome === 'lost') return
    if (tries < GIVE_BACK_TRIES) await clock.sleep(GIVE_BACK_PAUSE_MS)
  }
  log.error(
    'the scope could not be given back: others wait until this member is started again and takes it up',
  )
}
