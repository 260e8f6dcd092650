// The patroni.yml of a modelled member, as the loader would have read it.

import type { JsonObject } from '../../src/cluster/json.ts'
import type { Tags } from '../../src/cluster/member.ts'
import type { LocalConfig, WatchdogConfig } from '../../src/config/agent/types.ts'
import { restConfig } from '../support/rest-config.ts'

const someone = { username: 'postgres', password: undefined, options: {} }

export function localConfig(
  name: string,
  number: number,
  { dynamic, watchdog }: { readonly dynamic: JsonObject; readonly watchdog: WatchdogConfig },
  tags: Tags,
): LocalConfig {
  const host = `10.0.0.${number}`
  return {
    file: 'patroni.yml',
    name,
    scope: 'pgsql',
    namespace: '/service',
    etcd: {
      endpoints: ['http://10.0.0.11:2379'],
      srv: undefined,
      followMembers: true,
      transport: 'grpc',
      username: undefined,
      password: undefined,
      cacert: undefined,
      cert: undefined,
      key: undefined,
    },
    rest: restConfig({ listen: { host, port: 8008 }, connectAddress: { host, port: 8008 } }),
    restClient: {
      authentication: undefined,
      insecure: false,
      cacert: undefined,
      certfile: undefined,
      keyfile: undefined,
      keyfilePassword: undefined,
    },
    bootstrap: { dcs: dynamic, initdb: [], pgHba: [], postBootstrap: undefined },
    postgres: {
      listenAddresses: host,
      port: 5432,
      connectAddress: { host, port: 5432 },
      dataDir: '/data',
      binDir: undefined,
      database: 'postgres',
      pgpass: undefined,
      superuser: someone,
      replication: someone,
      rewind: someone,
      basebackup: [],
      raw: {},
    },
    tags,
    log: {
      level: 'info',
      levels: new Map(),
      look: { format: '%(message)s', dateFormat: undefined, fixed: {} },
      file: undefined,
    },
    watchdog,
    scripts: {
      primaryRole: 'primary',
      callbackTimeoutMs: undefined,
      prePromoteTimeoutMs: undefined,
      beforeStopTimeoutMs: undefined,
    },
    vips: [],
    warnings: [],
  }
}
