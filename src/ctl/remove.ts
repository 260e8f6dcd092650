// `remove`: deletes everything that etcd knows of a cluster. Three answers must be typed; nothing can be given on the
// command line in their place.

import { Deadline } from '../platform/deadline.ts'
import { UserError } from '../platform/errors.ts'
import { type CtlContext, readCluster } from './context.ts'
import type { Format } from './formats.ts'
import { printClusters } from './list.ts'

const AWARE = 'Yes I am aware'
const DELETE_MS = 10_000

/** Asks for the name, the sentence and, when there is one, the leader; then deletes. */
export async function remove(context: CtlContext, scope: string, format: Format): Promise<void> {
  const { terminal, clock } = context
  const view = await readCluster(context, scope)
  const options = { format, extended: false, timestamp: false, topology: false } as const
  terminal.print(printClusters([[scope, view]], { ...options, everySeconds: undefined }))
  if ((await terminal.demand('Please confirm the cluster name to remove')) !== scope) {
    throw new UserError('Cluster names specified do not match')
  }
  const question = `You are about to remove all information in DCS for ${scope}, please type: "${AWARE}"`
  if ((await terminal.demand(question)) !== AWARE) {
    throw new UserError(`You did not exactly type "${AWARE}"`)
  }
  const leader = view.leader?.name
  if (leader !== undefined) {
    const healthy = 'This cluster currently is healthy. Please specify the leader name to continue'
    if ((await terminal.demand(healthy)) !== leader) {
      throw new UserError('You did not specify the current leader of the cluster')
    }
  }
  const { outcome } = await context
    .openDcs(scope)
    .write([], [{ kind: 'delete-prefix', prefix: '' }], Deadline.in(clock, DELETE_MS))
  if (outcome !== 'won') throw new UserError(`etcd did not confirm the removal (${outcome}): look again`)
}
