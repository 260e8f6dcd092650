// Which members a command is about: by role, by name, by question.

import type { Member } from '../cluster/member.ts'
import { isStandbyCluster } from '../cluster/summary.ts'
import type { ClusterView } from '../cluster/view.ts'
import { UserError } from '../platform/errors.ts'
import type { CtlContext } from './context.ts'
import { printMembers } from './list.ts'

export const roles = ['leader', 'primary', 'standby-leader', 'replica', 'standby', 'any', 'master'] as const
export type Role = (typeof roles)[number]

/** Members of a role in the order of their names. Pure. */
export function membersOf(view: ClusterView, role: Role): readonly Member[] {
  const leader = view.leader?.name
  const members = [...view.members.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
  if (role === 'any') return members
  if (role === 'replica' || role === 'standby') return members.filter(({ name }) => name !== leader)
  const isStandby = isStandbyCluster(view.config?.value ?? {})
  const isWanted = role === 'leader' || (role === 'standby-leader' ? isStandby : !isStandby)
  return isWanted ? members.filter(({ name }) => name === leader) : []
}

export interface Choice {
  readonly names: readonly string[]
  readonly role: Role
  readonly force: boolean
  /** The word in questions: `restart`, `reinitialize` ... */
  readonly action: string
}

/**
 * The members that the command shall act on. Prints the table and asks, unless everything is given by force.
 * Throws UserError for names that are not there.
 */
export async function chooseMembers(
  context: CtlContext,
  scope: string,
  view: ClusterView,
  { names, role, force, action }: Choice,
): Promise<readonly Member[]> {
  const candidates = membersOf(view, role)
  if (names.length === 0 && candidates.length === 0) {
    throw new UserError(`${scope} cluster doesn't have any members`)
  }
  printMembers(context, scope, view)
  const known = new Set(candidates.map(({ name }) => name))
  const wanted = await chooseNames(context, known, { names, role, force, action })
  for (const name of wanted) {
    if (!known.has(name)) throw new UserError(`${name} is not a member of cluster`)
  }
  return candidates.filter(({ name }) => wanted.includes(name))
}

async function chooseNames(
  { terminal }: CtlContext,
  known: ReadonlySet<string>,
  { names, role, force, action }: Choice,
): Promise<readonly string[]> {
  if (names.length > 0) {
    const found = names.filter(name => known.has(name))
    if (found.length === 0) throw new UserError(`No ${role} among provided members`)
    return found
  }
  // A fresh copy is never made of all at once.
  if (action !== 'reinitialize') return [...known]
  if (force) return []
  return [await terminal.ask(`Which member do you want to ${action} [${[...known].join(', ')}]?`, '')]
}

/** Asks for consent; throws UserError when it is not given. */
export async function confirmMembers(
  { terminal }: CtlContext,
  members: readonly Member[],
  { action, force }: Pick<Choice, 'action' | 'force'>,
  scheduledAt?: string,
): Promise<void> {
  if (force) return
  const names = members.map(({ name }) => name).join(', ')
  const question =
    scheduledAt === undefined
      ? `Are you sure you want to ${action} members ${names}?`
      : `Are you sure you want to schedule ${action} of members ${names} at ${scheduledAt}?`
  if (await terminal.confirm(question)) return
  throw new UserError(scheduledAt === undefined ? `Aborted ${action}` : `Aborted scheduled ${action}`)
}

/** Those with a REST server, the leader first. */
export function leaderFirst(view: ClusterView): readonly (Member & { readonly apiUrl: string })[] {
  const leader = view.leader?.name
  const withApi = membersOf(view, 'any').flatMap(member =>
    member.apiUrl === undefined ? [] : [{ ...member, apiUrl: member.apiUrl }],
  )
  return [...withApi.filter(({ name }) => name === leader), ...withApi.filter(({ name }) => name !== leader)]
}
