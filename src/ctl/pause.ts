// `pause` and `resume`: whether the cluster elects, starts and stops by itself.

import type { ClusterView } from '../cluster/view.ts'
import { readBoolean, readSeconds } from '../config/agent/units.ts'
import { UserError } from '../platform/errors.ts'
import { leaderFirst } from './choose.ts'
import { type CtlContext, readCluster, scopeOf } from './context.ts'
import { callMember } from './member-call.ts'
import { waitWithProgress } from './progress.ts'

/** Writes `pause` through the first member that answers. `wait`: until every member says so. */
export async function setPause(
  context: CtlContext,
  name: string | undefined,
  isPaused: boolean,
  wait: boolean,
): Promise<void> {
  const scope = scopeOf(context, name)
  const { terminal } = context
  const view = await readCluster(context, scope)
  if ((readBoolean(view.config?.value['pause']) === true) === isPaused) {
    throw new UserError(`Cluster is ${isPaused ? 'already' : 'not'} paused`)
  }
  for (const member of leaderFirst(view)) {
    const answer = await callMember(context, member, 'PATCH', 'config', { pause: isPaused ? true : null })
    if (answer.code === 0) {
      terminal.warn(`Member ${member.name} is not accessible: ${answer.text}\n`)
      continue
    }
    if (answer.code !== 200) {
      const action = isPaused ? 'pause' : 'resume'
      terminal.print(`Failed: ${action} cluster management status code=${answer.code}, (${answer.text})\n`)
      context.noteRefusal()
    } else if (wait) await waitForAll(context, scope, view, isPaused)
    else terminal.print(`Success: cluster management is ${isPaused ? 'paused' : 'resumed'}\n`)
    return
  }
  throw new UserError('Can not find accessible cluster member')
}

async function waitForAll(
  context: CtlContext,
  scope: string,
  before: ClusterView,
  isPaused: boolean,
): Promise<void> {
  const { terminal } = context
  const action = isPaused ? 'pause' : 'resume'
  terminal.print(`'${action}' request sent, waiting until it is recognized by all nodes\n`)
  const loopWait = readSeconds(before.config?.value['loop_wait']) ?? 10
  const wanted = [...before.members.values()].filter(({ apiUrl }) => apiUrl !== undefined)
  let missing: readonly string[] = []
  const isDone = await waitWithProgress(context, (loopWait + 1) * 1000, async () => {
    const view = await readCluster(context, scope)
    missing = wanted.filter(({ name }) => view.members.get(name)?.pause === !isPaused).map(({ name }) => name)
    return missing.length === 0 ? undefined : `waiting for ${missing.join(', ')}`
  })
  if (isDone) terminal.print(`Success: cluster management is ${isPaused ? 'paused' : 'resumed'}\n`)
  else {
    terminal.print(`${missing.join(', ')} members didn't recognized pause state after ${loopWait} seconds\n`)
    context.noteRefusal()
  }
}
