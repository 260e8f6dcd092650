// Real etcd clusters for the store's tests, each on loopback addresses of its own so that many run side by side.

import path from 'node:path'
import { createEtcdDcs, type EtcdDcs } from '../../src/dcs/etcd/etcd.ts'
import type { EtcdOptions } from '../../src/dcs/etcd/options.ts'
import { serverAccount } from '../../src/demo/account.ts'
import { EtcdCluster, type EtcdMember } from '../../src/demo/etcd.ts'
import { Host } from '../../src/demo/host.ts'
import type { Layout } from '../../src/demo/loopback.ts'
import { realClock } from '../../src/platform/clock.ts'
import { Deadline } from '../../src/platform/deadline.ts'
import { silentLogger } from '../../src/platform/log.ts'
import type { Workplace } from '../support/workplace.ts'

/** Starts a cluster on 127.0.`net`.11 and up; removed when the workplace is. */
export async function startEtcd(work: Workplace, net: number, size: 1 | 3): Promise<EtcdCluster> {
  const account = await serverAccount()
  let made = 0
  const layout: Layout = {
    host: async name => {
      made += 1
      const address = `127.0.${net}.${10 + made}`
      const directory = path.join(work.data, `net${net}`, name)
      const logs = path.join(work.logs, `net${net}`)
      const host = new Host({ name, address, directory, logs, enter: [] }, account)
      await host.prepare()
      return host
    },
  }
  const etcd = await EtcdCluster.create(layout, size)
  work.defer(() => etcd.remove())
  await etcd.start()
  return etcd
}

/** A client with short times, as a cluster with `retry_timeout: 3` has it. */
export function connect(endpoints: readonly string[], more: Partial<EtcdOptions> = {}): EtcdDcs {
  return createEtcdDcs({
    endpoints,
    namespace: 'service',
    scope: 'faults',
    clock: realClock,
    logger: silentLogger,
    retryTimeoutMs: 3_000,
    startAt: 0,
    ...more,
  })
}

/** The deadline `durationMs` from now on the real clock. */
export function by(durationMs: number): Deadline {
  return Deadline.in(realClock, durationMs)
}

/** Thaws what is frozen, starts what was killed, and waits until all members are healthy. */
export async function heal(etcd: EtcdCluster, members: readonly EtcdMember[]): Promise<void> {
  for (const member of members) {
    if (member.server.isRunning) member.server.thaw()
    else await etcd.startMember(member)
  }
  await etcd.ready()
}
