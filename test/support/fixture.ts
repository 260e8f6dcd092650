// What most tests on real parts begin with: a running cluster that is gone when the test is over.

import { Cluster, type ClusterOptions } from '../../src/demo/cluster.ts'
import { EtcdCluster } from '../../src/demo/etcd.ts'
import { type Layout, LoopbackLayout } from '../../src/demo/loopback.ts'
import { Network, type NetworkOptions } from './netns.ts'
import { quickBinDir } from './tools.ts'
import { makeWorkplace, type Scope, type Workplace } from './workplace.ts'

/** A cluster's options with a test's own: where the hosts are, and whether data must survive a power loss. */
export interface FixtureOptions extends Omit<ClusterOptions, 'layout' | 'program'> {
  /** A network namespace for each host, so that the network can be cut. Default: addresses of loopback. */
  readonly network?: NetworkOptions | true
  /** fsync on. Default false: data of tests lies on a tmpfs. */
  readonly durable?: boolean
}

/** What a test gets. */
export interface Fixture {
  readonly cluster: Cluster
  readonly work: Workplace
  /** The switch between the hosts. Throws when the cluster has none. */
  readonly network: Network
}

/**
 * Builds and starts a cluster; it is removed when the scope ends. At the top level of a file, give `{ after }` of
 * `node:test`; inside a test, its context.
 */
export async function startCluster(scope: Scope, options: FixtureOptions = {}): Promise<Fixture> {
  const fixture = await createCluster(scope, options)
  await fixture.cluster.start()
  return fixture
}

/** The same without starting anything: for tests of the start itself. */
export async function createCluster(scope: Scope, options: FixtureOptions = {}): Promise<Fixture> {
  const work = await makeWorkplace(scope)
  const layout = await makeLayout(work, options.network)
  const cluster = await Cluster.create({
    ...options,
    layout,
    program: work.program,
    binDir: options.binDir ?? (await quickBinDir()),
    parameters: { ...(options.durable === true ? {} : { fsync: 'off' }), ...options.parameters },
  })
  work.defer(() => cluster.remove())
  return {
    cluster,
    work,
    get network() {
      if (layout instanceof Network) return layout
      throw new Error('this cluster is on loopback; ask for a network to cut it')
    },
  }
}

/** A running store alone. */
export async function startEtcd(scope: Scope, size: 1 | 3): Promise<{ etcd: EtcdCluster; work: Workplace }> {
  const work = await makeWorkplace(scope)
  const etcd = await EtcdCluster.create(new LoopbackLayout(work.data, work.logs), size)
  work.defer(() => etcd.remove())
  await etcd.start()
  return { etcd, work }
}

async function makeLayout(work: Workplace, network: NetworkOptions | true | undefined): Promise<Layout> {
  if (network === undefined) return new LoopbackLayout(work.data, work.logs)
  return Network.create(work, network === true ? {} : network)
}
