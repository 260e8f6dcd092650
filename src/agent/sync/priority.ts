// synchronous_mode on: every standby named in the `sync` key has every acknowledged commit. Pure.
//
// A name is in the key only while it is in the parameter, and while the parameter waits for all of its names. So names
// leave the key first and the parameter second; they enter the parameter first, and the key when they have caught up.

import { guaranteed, intersect, NOBODY, parseStandbyNames, printEach, sameNames, union } from './names.ts'
import { recordSync, type SyncScene, type SyncStep } from './step.ts'

/** The next single step; undefined when key and parameter are as they should be. */
export function nextPriorityStep(scene: SyncScene): SyncStep | undefined {
  const { me, recorded } = scene
  if (recorded === undefined) return recordSync(me, [], 0)
  const promised = parseStandbyNames(scene.names)
  const holders = promised === undefined ? [] : guaranteed(promised)
  const wanted = wantedNames(scene, holders)
  // A quorum counts on fewer confirmations than there are names: such a promise says nothing of any single one.
  const standing = recorded.quorum > 0 ? [] : intersect(intersect(recorded.standbys, holders), wanted)
  const isOurs = recorded.leader === me && recorded.quorum === 0
  if (!isOurs || !sameNames(standing, recorded.standbys)) return recordSync(me, standing, 0)
  const text = wanted.length === 0 && scene.isStrict ? NOBODY : printEach(wanted)
  if (scene.names !== text) return { kind: 'set-synchronous-names', names: text }
  if (!scene.isSettled) return undefined
  const confirmed = union(standing, intersect(scene.confirmed, wanted))
  return sameNames(confirmed, recorded.standbys) ? undefined : recordSync(me, confirmed, 0)
}

/** With nobody left, strict mode keeps waiting for the last known ones; otherwise commits wait for nobody. */
function wantedNames(
  { picked, isStrict, recorded }: SyncScene,
  holders: readonly string[],
): readonly string[] {
  if (picked.length > 0 || !isStrict) return picked
  return intersect(recorded?.standbys ?? [], holders)
}
