// From a configuration's etcd section to the client's options: reads the certificates.

import { readFile } from 'node:fs/promises'
import type { EtcdConfig } from '../config/agent/types.ts'
import type { EtcdOptions } from '../dcs/etcd/options.ts'
import type { DcsMetrics } from '../dcs/metrics.ts'
import { realClock } from '../platform/clock.ts'
import { messageOf, UserError } from '../platform/errors.ts'
import type { Logger } from '../platform/log.ts'

/** Everything that names the cluster's keys; the scope is asked for later by ctl. */
export interface StoreParts {
  readonly etcd: EtcdConfig
  /** As `/service`. */
  readonly namespace: string
  readonly logger: Logger
  readonly metrics?: DcsMetrics
}

/** The options without a scope. Throws UserError for a certificate that cannot be read. */
export async function etcdOptions(parts: StoreParts): Promise<Omit<EtcdOptions, 'scope'>> {
  const { etcd, namespace, logger, metrics } = parts
  const { username, password } = etcd
  const tls = await readTls(etcd)
  return {
    endpoints: etcd.endpoints,
    namespace,
    clock: realClock,
    logger,
    ...(metrics === undefined ? {} : { metrics }),
    ...(tls === undefined ? {} : { tls }),
    ...(username === undefined || password === undefined ? {} : { auth: { username, password } }),
  }
}

async function readTls({ cacert, cert, key }: EtcdConfig): Promise<EtcdOptions['tls'] | undefined> {
  if (cacert === undefined) return undefined
  return {
    ca: await readPem('cacert', cacert),
    ...(cert === undefined ? {} : { cert: await readPem('cert', cert) }),
    ...(key === undefined ? {} : { key: await readPem('key', key) }),
  }
}

function readPem(name: string, path: string): Promise<Buffer> {
  return readFile(path).catch((error: unknown) => {
    throw new UserError(`etcd: ${name}: cannot read ${path}: ${messageOf(error)}`)
  })
}
