// `demote-cluster` and `promote-cluster`: whether this cluster follows another one. Writes the `standby_cluster` section
// through a member and waits until the leader's server has the new role.

import type { JsonObject } from '../cluster/json.ts'
import { isStandbyCluster } from '../cluster/summary.ts'
import type { ClusterView } from '../cluster/view.ts'
import { readSeconds } from '../config/agent/units.ts'
import { UserError } from '../platform/errors.ts'
import { leaderFirst } from './choose.ts'
import { type CtlContext, readCluster, scopeOf } from './context.ts'
import { printMembers } from './list.ts'
import { callMember } from './member-call.ts'
import { waitWithProgress } from './progress.ts'

/** Where the demoted cluster gets its data from; at least one of host, port and restore_command. */
export interface DemoteOptions {
  readonly host: string | undefined
  readonly port: string | undefined
  readonly restoreCommand: string | undefined
  readonly primarySlotName: string | undefined
  readonly force: boolean
}

const SPARE_MS = 60_000

/** The cluster's primary becomes the standby leader of the cluster that the options name. */
export async function demoteCluster(
  context: CtlContext,
  name: string | undefined,
  options: DemoteOptions,
): Promise<void> {
  const section = sectionOf(options)
  if (!isStandbyCluster({ standby_cluster: section }))
    throw new UserError('At least --host, --port or --restore-command should be specified')
  await changeRole(context, name, { action: 'demote', section, role: 'standby_leader', force: options.force })
}

/** The standby leader is promoted: the cluster goes on by itself and takes writes. */
export async function promoteCluster(
  context: CtlContext,
  name: string | undefined,
  { force }: { readonly force: boolean },
): Promise<void> {
  await changeRole(context, name, { action: 'promote', section: null, role: 'primary', force })
}

function sectionOf({ host, port, restoreCommand, primarySlotName }: DemoteOptions): JsonObject {
  const isNumber = port !== undefined && /^\d+$/.test(port)
  return {
    ...(host === undefined ? {} : { host }),
    ...(port === undefined ? {} : { port: isNumber ? Number(port) : port }),
    ...(restoreCommand === undefined ? {} : { restore_command: restoreCommand }),
    ...(primarySlotName === undefined ? {} : { primary_slot_name: primarySlotName }),
  }
}

interface RoleChange {
  readonly action: 'demote' | 'promote'
  readonly section: JsonObject | null
  readonly role: 'standby_leader' | 'primary'
  readonly force: boolean
}

async function changeRole(context: CtlContext, name: string | undefined, change: RoleChange): Promise<void> {
  const scope = scopeOf(context, name)
  const { terminal } = context
  const { action, section, role, force } = change
  const view = await readCluster(context, scope)
  if (view.leader === undefined) throw new UserError(`Cluster ${scope} has no leader, can not ${action} it`)
  if (isStandbyCluster(view.config?.value ?? {}) === (action === 'demote'))
    throw new UserError('Cluster is already in the required state')
  terminal.print('Current cluster topology\n')
  printMembers(context, scope, view)
  if (!force && !(await terminal.confirm(`Are you sure you want to ${action} ${scope} cluster?`)))
    throw new UserError(`Aborted cluster ${action}`)
  await patch(context, view, action, section)
  await waitForRole(context, scope, view, role)
  printMembers(context, scope, await readCluster(context, scope))
}

/** Through the first member that answers. */
async function patch(
  context: CtlContext,
  view: ClusterView,
  action: string,
  section: JsonObject | null,
): Promise<void> {
  for (const member of leaderFirst(view)) {
    const answer = await callMember(context, member, 'PATCH', 'config', { standby_cluster: section })
    if (answer.code === 200) return
    if (answer.code !== 0) {
      const why = `status code=${answer.code}, (${answer.text})`
      throw new UserError(`Failed to ${action} the cluster: ${why}`)
    }
    context.terminal.warn(`Member ${member.name} is not accessible: ${answer.text}\n`)
  }
  throw new UserError('Can not find accessible cluster member')
}

/** A stop with its last checkpoint and archiving takes as long as it takes: a late change is told, and goes on. */
async function waitForRole(
  context: CtlContext,
  scope: string,
  { config }: ClusterView,
  role: RoleChange['role'],
): Promise<void> {
  const { terminal } = context
  const loopWait = readSeconds(config?.value['loop_wait']) ?? 10
  let missing = ''
  const isDone = await waitWithProgress(context, 2000 * loopWait + SPARE_MS, async () => {
    const { leader, members } = await readCluster(context, scope)
    const member = leader === undefined ? undefined : members.get(leader.name)
    if (member?.role === role && member.state === 'running') return undefined
    missing = leader === undefined ? 'nobody leads' : `${leader.name} is ${member?.role ?? 'unknown'}`
    return `waiting for the ${role.replace('_', ' ')}: ${missing}`
  })
  if (isDone) {
    terminal.print(`Success: the leader is a ${role.replace('_', ' ')} now\n`)
    return
  }
  terminal.print(`The change is written and not carried out yet: ${missing}\n`)
  context.noteRefusal()
}
