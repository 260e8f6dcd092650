// A cluster is born: one member claims the scope, makes the data, and takes the leader key in the same transaction that
// names it. An answer that did not come is looked for: a claim that nobody remembers would keep everybody waiting.

import { printJson } from '../cluster/json.ts'
import { printTerm, TERM_KEY } from '../cluster/term.ts'
import type { Write } from '../dcs/dcs.ts'
import { Deadline } from '../platform/deadline.ts'
import { HaError, messageOf } from '../platform/errors.ts'
import { stopQuickly } from './stop-quickly.ts'
import { type MemoryUpdate, noUpdate } from './tasks.ts'
import type { WorkContext } from './work.ts'

const WRITE_MS = 10_000
const SET_ASIDE_TIMEOUT_MS = 60_000
/** Whose claim it is: `initialize` itself is empty until the data is there, for all members alike. */
const CLAIM_KEY = 'pgherd/claim'

interface Claim {
  readonly kind: 'create-revision'
  readonly key: 'initialize'
  readonly revision: bigint
}

/** Does nothing when another member was first. */
export async function bootstrapCluster(context: WorkContext, signal: AbortSignal): Promise<MemoryUpdate> {
  const { parts, state, fence, keeper } = context
  const ours = await claim(context)
  if (ours === undefined) return noUpdate
  try {
    const systemId = await parts.postgres.bootstrap(signal)
    await lead(context, ours, systemId)
    state.lastTerm = keeper.hold?.createRevision
    fence.arm()
    state.lockMs = undefined
    const facts = { system_id: systemId }
    parts.events.record({ kind: 'bootstrap', says: 'initialized a new cluster', facts })
    return memory => ({ ...memory, role: 'primary' })
  } catch (error) {
    await undo(context, ours, messageOf(error))
    return noUpdate
  }
}

async function claim({ parts }: WorkContext): Promise<Claim | undefined> {
  const { clock, dcs, local } = parts
  const mark = `${local.name} ${clock.wallMs()} ${clock.monotonicMs()}`
  const { outcome, revision } = await dcs.write(
    [
      { kind: 'absent', key: 'initialize' },
      { kind: 'absent', key: 'leader' },
    ],
    [
      { kind: 'put', key: 'initialize', value: '' },
      { kind: 'put', key: CLAIM_KEY, value: mark },
    ],
    Deadline.in(clock, WRITE_MS),
  )
  if (outcome === 'won' && revision !== undefined) return claimed(revision)
  if (outcome !== 'unknown') return undefined
  const view = await dcs.read(Deadline.in(clock, WRITE_MS))
  const isOurs = view.own.get('claim')?.value === mark && view.initialize?.value === ''
  return isOurs && view.initialize !== undefined ? claimed(view.initialize.createRevision) : undefined
}

function claimed(revision: bigint): Claim {
  return { kind: 'create-revision', key: 'initialize', revision }
}

async function lead(context: WorkContext, ours: Claim, systemId: string): Promise<void> {
  const { parts, keeper } = context
  const { clock, dcs, local } = parts
  const writes: readonly Write[] = [
    { kind: 'put', key: 'initialize', value: systemId },
    { kind: 'put', key: 'config', value: printJson(local.bootstrap.dcs) },
    { kind: 'put', key: TERM_KEY, value: printTerm({ name: local.name, continues: undefined }) },
    { kind: 'delete', key: CLAIM_KEY },
  ]
  const outcome = await keeper.acquire(Deadline.in(clock, WRITE_MS), writes, [ours])
  if (outcome === 'won') return
  if (outcome === 'unknown') {
    const asked = keeper.ask()
    const { leader } = await dcs.read(Deadline.in(clock, WRITE_MS))
    if (leader !== undefined && keeper.adopt(leader, asked)) return
  }
  throw new HaError('E_BOOTSTRAP', `the leader key was not taken (${outcome})`)
}

/** A failed bootstrap gives the scope back and keeps the half-made data for a look; the process ends. */
async function undo(context: WorkContext, ours: Claim, why: string): Promise<void> {
  const { parts, state } = context
  const { clock, dcs, log, postgres } = parts
  log.critical(`failed to bootstrap cluster: ${why}`)
  await stopQuickly(context).catch(error => log.error(`stop after failed bootstrap: ${messageOf(error)}`))
  await postgres
    .setAside(Deadline.in(clock, SET_ASIDE_TIMEOUT_MS))
    .then(where => log.error(`the unfinished data directory is kept as ${where}`))
    .catch(error => log.error(`could not set the data directory aside: ${messageOf(error)}`))
  const gone: readonly Write[] = [
    { kind: 'delete', key: 'initialize' },
    { kind: 'delete', key: CLAIM_KEY },
  ]
  await dcs.write([ours], gone, Deadline.in(clock, WRITE_MS))
  state.exitCode = 1
}
