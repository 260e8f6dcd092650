// Changes the cluster's own configuration as an operator does it, by the key in etcd.

import type { Cluster } from '../../src/demo/cluster.ts'
import { merge, type Settings } from '../../src/demo/member-config.ts'

/** Lays `changes` over the `config` key. */
export async function changeConfig(cluster: Cluster, changes: Settings): Promise<void> {
  const key = `/service/${cluster.scope}/config`
  const now = JSON.parse((await cluster.etcd.value(key)) ?? '') as Settings
  await cluster.etcd.ctl(['put', key, JSON.stringify(merge(now, changes))])
}

/** The text of a key of the scope; empty when it is not there. */
export async function keyText(cluster: Cluster, key: string): Promise<string> {
  return (await cluster.etcd.value(`/service/${cluster.scope}/${key}`)) ?? ''
}
