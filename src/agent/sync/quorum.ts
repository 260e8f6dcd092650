// synchronous_mode quorum: any `count` of the parameter's names confirm a commit; a voter may lead when `quorum` other
// voters are not ahead of it. Pure.
//
// Safe while |voters and names together| <= quorum + count: a candidate has seen quorum + 1 voters, a commit is on count
// of the names, and two such sets within so small a union have a member in common, which has the commit.
//
// Old commits were acknowledged under older parameters. Until the present one is settled (every name counted on has
// everything from before it), the unknown older ones (names', count') are covered too: a step may add voters only
// if it adds as many to the quorum, and may take no voter away. |V with x and names'| <= |V and names'| + |x| <= quorum + |x| + count'.

import { includesName, isClosed, NOBODY, parseStandbyNames, printAny, sameNames, union } from './names.ts'
import { recordSync, type SyncScene, type SyncStep } from './step.ts'

interface Target {
  readonly names: readonly string[]
  readonly count: number
}

/** The next single step; undefined when key and parameter are as they should be. */
export function nextQuorumStep(scene: SyncScene): SyncStep | undefined {
  const { me, recorded } = scene
  if (recorded === undefined) return recordSync(me, [], 0)
  const { standbys: voters, quorum } = recorded
  if (recorded.leader !== me) return recordSync(me, voters, quorum)
  const now = inEffect(scene.names)
  const broken = now === undefined ? undefined : shortOf(voters, now)
  if (broken !== undefined && broken > quorum) return recordSync(me, voters, broken)
  const target = targetOf(scene, now)
  const text = target.names.length === 0 && scene.isStrict ? NOBODY : printAny(target.count, target.names)
  if (scene.names !== text) return prepare(scene, voters, quorum, now, target, text)
  if (!scene.isSettled || !hasCaughtUp(scene, target)) return undefined
  const settled = target.names.length - target.count
  if (quorum === settled && sameNames(voters, target.names)) return undefined
  return recordSync(me, target.names, settled)
}

/** Makes room for the new parameter in the key, then sets it. */
function prepare(
  { me }: SyncScene,
  voters: readonly string[],
  quorum: number,
  now: Target | undefined,
  target: Target,
  text: string,
): SyncStep {
  const set: SyncStep = { kind: 'set-synchronous-names', names: text }
  // Without voters nobody but the leader may lead: any parameter is safe.
  if (voters.length === 0) return set
  const grown = union(voters, target.names)
  const added = grown.length - voters.length
  const needed = Math.max(
    quorum + added,
    shortOf(grown, target),
    now === undefined ? quorum : shortOf(grown, now),
  )
  return added === 0 && needed <= quorum ? set : recordSync(me, grown, needed)
}

/** The quorum that these voters need while commits are confirmed so. */
function shortOf(voters: readonly string[], { names, count }: Target): number {
  return voters.length === 0 ? 0 : union(voters, names).length - count
}

/** Undefined when nothing is acknowledged (closed) or nobody can say by whom (a parameter of somebody else). */
function inEffect(text: string): Target | undefined {
  const parsed = parseStandbyNames(text)
  if (parsed === undefined || isClosed(parsed) || parsed.names.includes('*')) return undefined
  return { names: parsed.names, count: Math.min(parsed.count, parsed.names.length) }
}

/** Everybody who can confirm, and how many must. With nobody left, strict mode keeps the last parameter. */
function targetOf({ able, wantedCount, isStrict }: SyncScene, now: Target | undefined): Target {
  if (able.length > 0) return { names: able, count: Math.min(wantedCount, able.length) }
  return isStrict && now !== undefined && now.count > 0 ? now : { names: [], count: 0 }
}

/** So many names have everything from before this parameter as must confirm under it. */
function hasCaughtUp({ confirmed }: SyncScene, { names, count }: Target): boolean {
  return names.filter(name => includesName(confirmed, name)).length >= count
}
