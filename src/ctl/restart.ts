// `restart`, `reload`, `reinit` and `flush`: orders for single members, over their REST servers.

import { asText, isObject, type Json, parseJsonObject } from '../cluster/json.ts'
import type { Member } from '../cluster/member.ts'
import { versionNumber } from '../cluster/restart.ts'
import type { ClusterView } from '../cluster/view.ts'
import { readBoolean, readSeconds } from '../config/agent/units.ts'
import { UserError } from '../platform/errors.ts'
import { waitForReloads } from './applied.ts'
import { chooseMembers, confirmMembers, leaderFirst, type Role } from './choose.ts'
import { type CtlContext, readCluster, writeKey } from './context.ts'
import { callMember, tellAnswer, tellFailure } from './member-call.ts'
import { waitWithProgress } from './progress.ts'
import { readSchedule } from './schedule.ts'
import { localMinute, timestamp } from './time.ts'

export interface MembersOptions {
  readonly scope: string
  readonly names: readonly string[]
  readonly role: Role
  readonly force: boolean
}

export interface RestartOptions extends MembersOptions {
  /** A single one of them. */
  readonly any: boolean
  readonly scheduled: string | undefined
  readonly olderThan: string | undefined
  readonly pendingOnly: boolean
  readonly timeout: string | undefined
  /** Go on until no restart is pending and the members are back. */
  readonly wait: boolean
}

const RESTART_MS = 24 * 3_600_000
const WAIT_MS = 600_000
const REINIT_LOOK_MS = 5_000

/** Restarts the chosen members one after the other, or schedules it. */
export async function restart(context: CtlContext, options: RestartOptions): Promise<void> {
  const { scope, force } = options
  const view = await readCluster(context, scope)
  const chosen = await chooseMembers(context, scope, view, { ...options, action: 'restart' })
  const at = readSchedule(await whenToRestart(context, options), context.clock.wallMs())
  await confirmMembers(context, chosen, { action: 'restart', force }, at)
  const body = await restartBody(context, view, options, at)
  const picked = Math.floor(Math.random() * chosen.length)
  const members = options.any ? chosen.slice(picked, picked + 1) : chosen
  for (const member of members) {
    if (at !== undefined && force && isObject(member.raw['scheduled_restart'])) {
      const flushed = await callMember(context, member, 'DELETE', 'restart', undefined)
      if (flushed.code >= 400 || flushed.code === 0)
        tellFailure(context, flushed, member.name, 'flush scheduled restart')
    }
    await restartMember(context, member, body)
  }
  if (options.wait && at === undefined) await waitForMembers(context, scope, members)
}

async function whenToRestart({ terminal, clock }: CtlContext, options: RestartOptions): Promise<string> {
  if (options.scheduled !== undefined || options.force) return options.scheduled ?? 'now'
  const example = localMinute(clock.wallMs() + 3_600_000)
  return terminal.ask(`When should the restart take place (e.g. ${example}) `, 'now')
}

async function restartBody(
  { terminal }: CtlContext,
  view: ClusterView,
  options: RestartOptions,
  at: string | undefined,
): Promise<Json> {
  const question = 'Restart if the PostgreSQL version is less than provided (e.g. 9.5.2) '
  const version = options.olderThan ?? (options.force ? '' : await terminal.ask(question, ''))
  const number = version === '' ? 0 : versionNumber(version)
  if (typeof number !== 'number') throw new UserError(number.refusal)
  if (at !== undefined && readBoolean(view.config?.value['pause']) === true) {
    throw new UserError("Can't schedule restart in the paused state")
  }
  return {
    ...(options.pendingOnly ? { restart_pending: true } : {}),
    ...(version === '' ? {} : { postgres_version: version }),
    ...(at === undefined ? {} : { schedule: at }),
    ...(options.timeout === undefined ? {} : { timeout: options.timeout }),
  }
}

async function restartMember(context: CtlContext, member: Member, body: Json): Promise<void> {
  const { terminal } = context
  const answer = await callMember(context, member, 'POST', 'restart', body, RESTART_MS)
  if (answer.code === 200) terminal.print(`Success: restart on member ${member.name}\n`)
  else if (answer.code === 202) terminal.print(`Success: restart scheduled on member ${member.name}\n`)
  else if (answer.code === 409) {
    terminal.print(`Failed: another restart is already scheduled on member ${member.name}\n`)
    context.noteRefusal()
  } else tellFailure(context, answer, member.name, 'restart')
}

async function waitForMembers(context: CtlContext, scope: string, members: readonly Member[]): Promise<void> {
  const names = new Set(members.map(({ name }) => name))
  const isBack = await waitWithProgress(context, WAIT_MS, async () => {
    const view = await readCluster(context, scope)
    const missing = [...view.members.values()].filter(
      member => names.has(member.name) && (member.state !== 'running' || member.pendingRestart),
    )
    const text = missing.map(({ name, state }) => `${name}: ${state}`).join(', ')
    return missing.length === 0 ? undefined : `waiting for ${text}`
  })
  context.terminal.print(
    isBack ? 'All restarted members are running\n' : 'Not all restarted members are running\n',
  )
  if (!isBack) context.noteRefusal()
}

/** Makes the chosen members read their files again. `wait`: until they have. */
export async function reload(
  context: CtlContext,
  options: MembersOptions & { readonly wait: boolean },
): Promise<void> {
  const { scope, force } = options
  const view = await readCluster(context, scope)
  const members = await chooseMembers(context, scope, view, { ...options, action: 'reload' })
  await confirmMembers(context, members, { action: 'reload', force })
  const loopWait = readSeconds(view.config?.value['loop_wait']) ?? 10
  const asked: Member[] = []
  for (const member of members) {
    const answer = await callMember(context, member, 'POST', 'reload', undefined)
    if (answer.code === 200) context.terminal.print(`No changes to apply on member ${member.name}\n`)
    else if (answer.code === 202) {
      asked.push(member)
      context.terminal.print(
        `Reload request received for member ${member.name} and will be processed within ${loopWait} seconds\n`,
      )
    } else tellFailure(context, answer, member.name, 'reload')
  }
  if (options.wait && asked.length > 0) await waitForReloads(context, view, asked)
}

export interface ReinitOptions extends Omit<MembersOptions, 'role'> {
  readonly wait: boolean
  readonly fromLeader: boolean
}

/** Makes replicas copy the leader afresh. */
export async function reinit(context: CtlContext, options: ReinitOptions): Promise<void> {
  const { scope, force } = options
  const view = await readCluster(context, scope)
  const choice = { ...options, role: 'replica', action: 'reinitialize' } as const
  const members = await chooseMembers(context, scope, view, choice)
  await confirmMembers(context, members, choice)
  const started: Member[] = []
  for (const member of members) {
    if (await reinitMember(context, member, force, options.fromLeader)) started.push(member)
  }
  if (options.wait && started.length > 0) await waitForCopies(context, started)
}

async function reinitMember(
  context: CtlContext,
  member: Member,
  force: boolean,
  fromLeader: boolean,
): Promise<boolean> {
  const from = fromLeader ? { from_leader: true } : {}
  const answer = await callMember(context, member, 'POST', 'reinitialize', { force, ...from })
  const isStarted = tellAnswer(context, answer, member.name, 'reinitialize')
  if (isStarted || force || !answer.text.endsWith(' already in progress')) return isStarted
  if (!(await context.terminal.confirm('Do you want to cancel it and reinitialize anyway?'))) return false
  const again = await callMember(context, member, 'POST', 'reinitialize', { force: true, ...from })
  return tellAnswer(context, again, member.name, 'reinitialize')
}

async function waitForCopies(context: CtlContext, members: readonly Member[]): Promise<void> {
  const { terminal } = context
  let waiting = members
  const namesOf = (some: readonly Member[]) => some.map(({ name }) => name).join(', ')
  terminal.print(`Waiting for reinitialize to complete on: ${namesOf(waiting)}\n`)
  await waitWithProgress(context, RESTART_MS, async tell => {
    const left: Member[] = []
    for (const member of waiting) {
      if (await isCopying(context, member)) left.push(member)
      else tell(`Reinitialize is completed on: ${member.name}\n`)
    }
    if (left.length > 0 && left.length < waiting.length)
      tell(`Waiting for reinitialize to complete on: ${namesOf(left)}\n`)
    waiting = left
    return left.length === 0 ? undefined : `creating replica: ${namesOf(left)}`
  })
}

/** A member that does not answer is not believed to be ready. */
async function isCopying(context: CtlContext, member: Member): Promise<boolean> {
  const answer = await callMember(context, member, 'GET', 'patroni', undefined, REINIT_LOOK_MS)
  if (answer.code === 0) return true
  return asText(parseJsonObject(answer.text)?.['state']) === 'creating replica'
}

/** Takes scheduled restarts of the chosen members back. */
export async function flushRestart(context: CtlContext, options: MembersOptions): Promise<void> {
  const { scope, force } = options
  const view = await readCluster(context, scope)
  const members = await chooseMembers(context, scope, view, { ...options, action: 'flush' })
  await confirmMembers(context, members, { action: 'flush', force })
  for (const member of members) {
    if (!isObject(member.raw['scheduled_restart'])) {
      context.terminal.print(`No scheduled restart for member ${member.name}\n`)
      continue
    }
    const answer = await callMember(context, member, 'DELETE', 'restart', undefined)
    tellAnswer(context, answer, member.name, 'flush scheduled restart')
  }
}

/** Takes a scheduled switchover back: by a member's REST server, else in etcd. */
export async function flushSwitchover(context: CtlContext, scope: string): Promise<void> {
  const { terminal, clock } = context
  const view = await readCluster(context, scope)
  if (view.request?.value.scheduledAt === undefined) {
    terminal.print('No pending scheduled switchover\n')
    return
  }
  for (const member of leaderFirst(view)) {
    const answer = await callMember(context, member, 'DELETE', 'switchover', undefined)
    if (answer.code === 200 || answer.code === 404) {
      terminal.print(`${answer.code === 200 ? 'Success' : 'Failed'}: ${answer.text}\n`)
      if (answer.code !== 200) context.noteRefusal()
      return
    }
    if (answer.code === 0) terminal.warn(`Member ${member.name} is not accessible: ${answer.text}\n`)
    else terminal.print(`Failed: member=${member.name}, status_code=${answer.code}, (${answer.text})\n`)
  }
  terminal.print(
    `${timestamp(clock)} Could not find any accessible member of cluster ${scope}, falling back to DCS\n`,
  )
  const outcome = await writeKey(context, scope, 'failover', '{}', view.request.modRevision)
  if (outcome === 'lost') throw new UserError('The switchover was changed at the same moment: look again')
}
