// From a configuration's etcd section to the client's options: reads the certificates, and later reads them again.

import { readFile } from 'node:fs/promises'
import type { EventDraft } from '../cluster/event.ts'
import type { EtcdConfig } from '../config/agent/types.ts'
import type { Dcs } from '../dcs/dcs.ts'
import type { EtcdOptions } from '../dcs/etcd/options.ts'
import { checkTls, type EtcdSecrets, type EtcdTls, FileSecrets } from '../dcs/etcd/secrets.ts'
import type { DcsMetrics } from '../dcs/metrics.ts'
import { realClock } from '../platform/clock.ts'
import { Deadline } from '../platform/deadline.ts'
import { HaError, messageOf, UserError } from '../platform/errors.ts'
import type { Logger } from '../platform/log.ts'

/** Everything that names the cluster's keys; the scope is asked for later by ctl. */
export interface StoreParts {
  readonly etcd: EtcdConfig
  /** As `/service`. */
  readonly namespace: string
  readonly logger: Logger
  readonly metrics?: DcsMetrics
  readonly onEvent?: (draft: EventDraft) => void
  /** Reads the section anew, for a password that was changed in the file. Default: it stays as it was. */
  readonly reread?: () => Promise<EtcdConfig>
}

/** The options without a scope. Throws UserError for certificates that cannot be read or do not fit each other. */
export async function etcdOptions(parts: StoreParts): Promise<Omit<EtcdOptions, 'scope'>> {
  const { etcd, namespace, logger, metrics, onEvent, reread } = parts
  const { endpoints, srv, followMembers, transport } = etcd
  const first = await readSecrets(etcd)
  checkPair(first.tls, etcd)
  const read = async () => readSecrets(reread === undefined ? etcd : await reread())
  return {
    endpoints,
    ...(srv === undefined ? {} : { srv }),
    followMembers,
    transport,
    namespace,
    clock: realClock,
    logger,
    secrets: new FileSecrets({ clock: realClock, logger, first, read }),
    ...(metrics === undefined ? {} : { metrics }),
    ...(onEvent === undefined ? {} : { onEvent }),
  }
}

async function readSecrets(etcd: EtcdConfig): Promise<EtcdSecrets> {
  const { username, password } = etcd
  return {
    tls: await readTls(etcd),
    auth: username === undefined || password === undefined ? undefined : { username, password },
  }
}

async function readTls({ cacert, cert, key }: EtcdConfig): Promise<EtcdTls | undefined> {
  if (cacert === undefined && cert === undefined) return undefined
  return {
    ...(cacert === undefined ? {} : { ca: await readPem('cacert', cacert) }),
    ...(cert === undefined ? {} : { cert: await readPem('cert', cert) }),
    // One file may hold both, as Patroni allows.
    ...(cert === undefined ? {} : { key: await readPem('key', key ?? cert) }),
  }
}

function readPem(name: string, path: string): Promise<Buffer> {
  return readFile(path).catch((error: unknown) => {
    throw new UserError(`etcd: ${name}: cannot read ${path}: ${messageOf(error)}`)
  })
}

function checkPair(tls: EtcdTls | undefined, { cacert, cert, key }: EtcdConfig): void {
  try {
    checkTls(tls)
  } catch (error) {
    const files = [cacert, cert, key].filter(file => file !== undefined).join(', ')
    throw new UserError(`etcd: the certificates in ${files} cannot be used: ${messageOf(error)}`)
  }
}

const FIRST_WORDS_MS = 2_000

/**
 * Throws UserError when etcd answers and refuses our name, password or certificate: at the start that is a mistake of
 * the operator. An etcd that does not answer is none: whoever starts waits for it.
 */
export async function refuseWrongPassword(dcs: Dcs, file: string): Promise<void> {
  try {
    await dcs.read(Deadline.in(realClock, FIRST_WORDS_MS))
  } catch (error) {
    const refusal = refusalOf(error, file)
    if (refusal !== undefined) throw refusal
  }
}

/** The mistake to tell when this error of a read means that etcd refuses us; undefined for any other error. */
export function refusalOf(error: unknown, file: string): UserError | undefined {
  if (!(error instanceof HaError) || error.code !== 'E_DCS_AUTH') return undefined
  return new UserError(`${file}: ${error.message}`)
}
