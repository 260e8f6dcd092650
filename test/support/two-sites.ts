// Two clusters on one machine with one store: a main one, and one that follows it.

import { Cluster, type ClusterOptions } from '../../src/demo/cluster.ts'
import { LoopbackLayout } from '../../src/demo/loopback.ts'
import type { Member } from '../../src/demo/member.ts'
import type { Settings } from '../../src/demo/member-config.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { quickBinDir } from './tools.ts'
import { makeWorkplace, type Scope, type Workplace } from './workplace.ts'

type SiteOptions = Omit<Partial<ClusterOptions>, 'layout' | 'program' | 'etcd' | 'scope' | 'prefix'>

export interface TwoSites {
  readonly work: Workplace
  /** Runs. */
  readonly main: Cluster
  /** Is prepared; nothing of it runs yet. */
  readonly standby: Cluster
}

/** Starts the main cluster and prepares the other one, whose `standby_cluster` section `follow` writes. */
export async function twoSites(
  scope: Scope,
  mainOptions: SiteOptions,
  standbyOptions: SiteOptions,
  follow: (main: Cluster) => Settings,
): Promise<TwoSites> {
  const work = await makeWorkplace(scope)
  const layout = new LoopbackLayout(work.data, work.logs)
  const shared = { layout, program: work.program, binDir: await quickBinDir() }
  const quick = (options: SiteOptions) => ({
    proxies: 0,
    ...options,
    parameters: { fsync: 'off', ...options.parameters },
  })
  const main = await Cluster.create({ ...shared, etcd: 1, scope: 'here', ...quick(mainOptions) })
  work.defer(() => main.remove())
  await main.start()
  const section = { standby_cluster: follow(main) }
  const standby = await Cluster.create({
    ...shared,
    etcd: main.etcd,
    scope: 'there',
    prefix: 'far-',
    ...quick(standbyOptions),
    dcs: { ...standbyOptions.dcs, ...section },
  })
  work.defer(() => Promise.all([...standby.members, ...standby.proxies].map(({ host }) => host.remove())))
  return { work, main, standby }
}

/** Waits for the member that leads this standby cluster, by its own word, and streams (`any`: or reads the archive). */
export function standbyLeader(
  cluster: Cluster,
  withinMs = 60_000,
  state: 'streaming' | 'any' = 'streaming',
): Promise<Member> {
  return waitFor(`a standby leader of ${cluster.scope}`, { withinMs, everyMs: 100 }, async note => {
    const name = await cluster.leaderKey()
    const member = cluster.members.find(candidate => candidate.name === name)
    if (member === undefined) {
      note(`the leader key says ${name ?? 'nothing'}`)
      return undefined
    }
    const status = await member.status(1_000)
    note(`${name}: ${JSON.stringify(status)}`)
    const isThere = status.role === 'standby_leader' && status.state === 'running'
    return isThere && (state === 'any' || status['replication_state'] === state) ? member : undefined
  })
}

/** Waits until a row that was written at the other side is there. */
export async function untilRow(member: Member, table: string, withinMs = 90_000): Promise<void> {
  await waitFor(`${table} on ${member.name}`, { withinMs, everyMs: 50 }, async () => {
    const rows = await member.query('SELECT 1 FROM pg_class WHERE relname = $1', [table])
    return rows.length === 1
  })
}
