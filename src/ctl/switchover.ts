// `switchover` and `failover`: the dialogue, the order to a member's REST server, and the way around it when no server
// answers. Checks that the cluster itself makes are left to it.

import { isTagged } from '../cluster/member.ts'
import { printRequest } from '../cluster/request.ts'
import { isQuorumMode, isStandbyCluster } from '../cluster/summary.ts'
import { isInSync } from '../cluster/sync.ts'
import type { ClusterView } from '../cluster/view.ts'
import { readBoolean } from '../config/agent/units.ts'
import { Deadline } from '../platform/deadline.ts'
import { messageOf, UserError } from '../platform/errors.ts'
import { type CtlContext, type RestAnswer, readCluster, scopeOf, writeKey } from './context.ts'
import { printMembers } from './list.ts'
import { waitWithProgress } from './progress.ts'
import { readSchedule } from './schedule.ts'
import { localMinute, timestamp } from './time.ts'

export type Action = 'switchover' | 'failover'

export interface SwitchoverOptions {
  readonly action: Action
  readonly leader: string | undefined
  readonly candidate: string | undefined
  readonly scheduled: string | undefined
  /** Ask nothing. */
  readonly force: boolean
  /** Go on until every member is back behind the new leader. */
  readonly wait?: boolean
}

/** What the dialogue ended with. */
interface Order {
  readonly action: Action
  readonly leader: string | undefined
  readonly candidate: string | undefined
  readonly scheduledAt: string | undefined
}

const WAIT_MS = 300_000

/** Runs the dialogue and the order; prints the cluster before and after. Throws UserError for what cannot be. */
export async function switchover(
  context: CtlContext,
  name: string | undefined,
  options: SwitchoverOptions,
): Promise<void> {
  const scope = scopeOf(context, name)
  const { terminal } = context
  const view = await readCluster(context, scope)
  terminal.print('Current cluster topology\n')
  printMembers(context, scope, view)
  const order = await agree(context, scope, view, options)
  const answer = await send(context, view, order)
  if (answer === undefined) {
    await writeRequest(context, scope, view, order)
  } else if (answer.code === 200 || answer.code === 202) {
    terminal.print(`${timestamp(context.clock)} ${answer.text}\n`)
  } else {
    terminal.print(`${titleOf(order.action)} failed, details: ${answer.code}, ${answer.text}\n`)
    context.noteRefusal()
    return
  }
  if (options.wait === true && order.scheduledAt === undefined)
    await waitForMembers(context, scope, view.leader?.name)
  printMembers(context, scope, await readCluster(context, scope))
}

/** Another leader, and every member that was there runs on its timeline. */
async function waitForMembers(context: CtlContext, scope: string, before: string | undefined): Promise<void> {
  const isDone = await waitWithProgress(context, WAIT_MS, async () => {
    const view = await readCluster(context, scope)
    const leader = view.leader?.name
    if (leader === undefined || leader === before) return 'waiting for a new leader'
    const timeline = view.members.get(leader)?.timeline
    const missing = [...view.members.values()]
      .filter(member => member.state !== 'running' || member.timeline !== timeline)
      .map(({ name, state }) => `${name} (${state})`)
    return missing.length === 0 ? undefined : `waiting for ${missing.join(', ')}`
  })
  if (isDone) return
  context.terminal.print('Not every member is back yet\n')
  context.noteRefusal()
}

/** Everything that is asked, in the order that scripts of expect know. */
async function agree(
  context: CtlContext,
  scope: string,
  view: ClusterView,
  options: SwitchoverOptions,
): Promise<Order> {
  const { action } = options
  if (action === 'failover' && options.force) requireCandidate(options.candidate)
  const leader =
    action === 'switchover' ? await agreeLeader(context, scope, view, options) : view.leader?.name
  const candidate = await agreeCandidate(context, scope, view, options)
  if (action === 'failover') await warnAsynchronous(context, view, candidate, options.force)
  const scheduledAt = action === 'switchover' ? await agreeSchedule(context, view, options) : undefined
  const order = { action, leader: action === 'switchover' ? leader : undefined, candidate, scheduledAt }
  if (!options.force) await confirmOrder(context, scope, order, leader)
  return order
}

async function agreeLeader(
  { terminal }: CtlContext,
  scope: string,
  view: ClusterView,
  { leader, force }: SwitchoverOptions,
): Promise<string> {
  const current = view.leader?.name
  if (current === undefined) throw new UserError('This cluster has no leader')
  const title = isStandbyCluster(view.config?.value ?? {}) ? 'Standby Leader' : 'Primary'
  const wanted = leader ?? (force ? current : await terminal.ask(title, current))
  if (wanted !== current) throw new UserError(`Member ${wanted} is not the leader of cluster ${scope}`)
  return wanted
}

async function agreeCandidate(
  { terminal }: CtlContext,
  scope: string,
  view: ClusterView,
  { action, candidate, force }: SwitchoverOptions,
): Promise<string | undefined> {
  const leader = view.leader?.name
  const fit = [...view.members.values()]
    .filter(member => member.name !== leader && !isTagged(member.tags, 'nofailover', 'failover_priority'))
    .map(member => member.name)
    .sort()
  if (fit.length === 0) throw new UserError(`No candidates found to ${action} to`)
  const shown = `[${fit.map(name => `'${name}'`).join(', ')}]`
  const answered = candidate ?? (force ? '' : await terminal.ask(`Candidate ${shown}`, ''))
  const wanted = answered === '' ? undefined : answered
  if (action === 'failover') requireCandidate(wanted)
  if (wanted !== undefined && wanted === leader) {
    throw new UserError(`${titleOf(action)} target and source are the same.`)
  }
  if (wanted !== undefined && !fit.includes(wanted)) {
    throw new UserError(`Member ${wanted} does not exist in cluster ${scope} or is tagged as nofailover`)
  }
  return wanted
}

function requireCandidate(candidate: string | undefined): void {
  if (candidate === undefined || candidate === '') {
    throw new UserError('Failover could be performed only to a specific candidate')
  }
}

/** A failover to a node that did not confirm the last commits may lose them: that is asked separately. */
async function warnAsynchronous(
  { terminal }: CtlContext,
  view: ClusterView,
  candidate: string | undefined,
  force: boolean,
): Promise<void> {
  const sync = view.sync?.value
  if (force || candidate === undefined || sync === undefined || isInSync(sync, candidate)) return
  const kind = isQuorumMode(view.config?.value ?? {}) ? 'non-quorum' : 'asynchronous'
  if (!(await terminal.confirm(`Are you sure you want to failover to the ${kind} node ${candidate}?`))) {
    throw new UserError('Aborting failover')
  }
}

async function agreeSchedule(
  { terminal, clock }: CtlContext,
  view: ClusterView,
  { scheduled, force }: SwitchoverOptions,
): Promise<string | undefined> {
  const example = localMinute(clock.wallMs() + 3_600_000)
  const question = `When should the switchover take place (e.g. ${example} ) `
  const answered = scheduled ?? (force ? 'now' : await terminal.ask(question, 'now'))
  const at = readSchedule(answered, clock.wallMs())
  if (at !== undefined && readBoolean(view.config?.value['pause']) === true) {
    throw new UserError("Can't schedule switchover in the paused state")
  }
  return at
}

async function confirmOrder(
  { terminal }: CtlContext,
  scope: string,
  { action, scheduledAt }: Order,
  leader: string | undefined,
): Promise<void> {
  const demoting = leader === undefined ? '' : `, demoting current leader ${leader}`
  const question =
    scheduledAt === undefined
      ? `Are you sure you want to ${action} cluster ${scope}${demoting}?`
      : `Are you sure you want to schedule ${action} of cluster ${scope} at ${scheduledAt}${demoting}?`
  if (await terminal.confirm(question)) return
  throw new UserError(`Aborting ${scheduledAt === undefined ? '' : 'scheduled '}${action}`)
}

/** Asks the leader's REST server (the candidate's when the leader has none); undefined when it does not answer. */
async function send(context: CtlContext, view: ClusterView, order: Order): Promise<RestAnswer | undefined> {
  const { callMember, clock, terminal } = context
  const target = view.members.get(view.leader?.name ?? '') ?? view.members.get(order.candidate ?? '')
  const body = {
    ...(order.leader === undefined ? {} : { leader: order.leader }),
    ...(order.candidate === undefined ? {} : { candidate: order.candidate }),
    ...(order.scheduledAt === undefined ? {} : { scheduled_at: order.scheduledAt }),
  }
  try {
    if (target?.apiUrl === undefined) throw new Error('no member with a REST server to ask')
    return await callMember('POST', target.apiUrl, order.action, body, Deadline.in(clock, answerMs(view)))
  } catch (error) {
    terminal.warn(`${messageOf(error)}\n`)
    terminal.print(
      `${timestamp(context.clock)} Could not ${order.action} using Patroni api, falling back to DCS\n`,
    )
    return undefined
  }
}

/** The server itself watches for up to twice the longer of ten seconds and loop_wait. */
function answerMs(view: ClusterView): number {
  const loopWait = view.config?.value['loop_wait']
  return 1000 * (10 + 2 * Math.max(10, typeof loopWait === 'number' ? loopWait : 10))
}

async function writeRequest(
  context: CtlContext,
  scope: string,
  view: ClusterView,
  order: Order,
): Promise<void> {
  const outcome = await writeKey(context, scope, 'failover', printRequest(order), view.requestModRevision)
  if (outcome === 'won') return
  // Somebody changed the key since it was read: perhaps the very server whose answer did not come.
  context.terminal.print(`${titleOf(order.action)} result unknown\n`)
  context.noteRefusal()
}

function titleOf(action: Action): string {
  return action === 'switchover' ? 'Switchover' : 'Failover'
}
