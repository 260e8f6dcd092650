// `pgherd proxy FILE` and `pgherd proxy --patroni HOST:PORT`: builds the real parts of one proxy and runs them.

import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import { loadProxyConfig, proxyConfigForPatroni } from '../config/proxy/load.ts'
import type { ProxyConfig } from '../config/proxy/types.ts'
import type { Dcs } from '../dcs/dcs.ts'
import { createEtcdDcs } from '../dcs/etcd/etcd.ts'
import { createDcsMetrics } from '../dcs/metrics.ts'
import { realClock } from '../platform/clock.ts'
import { UserError } from '../platform/errors.ts'
import { Lifecycle } from '../platform/lifecycle.ts'
import { type Logger, openLog } from '../platform/log.ts'
import { createRegistry } from '../platform/metrics.ts'
import { version } from '../platform/version.ts'
import { parseDescriptorsMax } from '../proxy/descriptors.ts'
import { ProxyServer } from '../proxy/proxy.ts'
import { etcdOptions } from './etcd-options.ts'

const STOP_MS = 3_000

/** The command as the program's table wants it. */
export function proxyCommand(): Command {
  return new Command('proxy')
    .description('route sessions: writes to the leader, reads to the replicas')
    .argument('[FILE]', "the proxy's file")
    .option(
      '--patroni <address...>',
      'find the members through these REST servers instead of etcd; needs no file',
    )
    .action(async (file: string | undefined, options: { readonly patroni?: readonly string[] }) => {
      await runProxy(await readConfig(file, options.patroni))
    })
}

async function readConfig(
  file: string | undefined,
  patroni: readonly string[] | undefined,
): Promise<ProxyConfig> {
  if (file === undefined && patroni === undefined) {
    throw new UserError('give a file, or --patroni with the address of a member: pgherd proxy FILE')
  }
  if (patroni === undefined) return await loadProxyConfig(file ?? '')
  const found = proxyConfigForPatroni(patroni)
  if (file === undefined) return found
  return { ...(await loadProxyConfig(file)), discovery: found.discovery }
}

/** Runs a proxy until a signal stops it. Throws UserError for what the operator must change first. */
export async function runProxy(config: ProxyConfig): Promise<void> {
  const log = openLog({ ...config.log, fd: 2 })
  const lifecycle = new Lifecycle({ clock: realClock, log, process })
  const registry = createRegistry()
  const dcs = await openDcs(config, log, registry)
  const proxy = new ProxyServer({
    config,
    clock: realClock,
    log,
    registry,
    dcs,
    version,
    pid: process.pid,
    descriptorsMax: readDescriptorsMax(),
  })
  lifecycle.install()
  if (dcs !== undefined) lifecycle.onStop('etcd client', STOP_MS, () => dcs.close())
  lifecycle.onStop('proxy', STOP_MS, () => proxy.stop('the proxy is stopping'))
  try {
    await proxy.start()
  } catch (error) {
    lifecycle.uninstall()
    await dcs?.close()
    throw error
  }
  await aborted(lifecycle.signal)
  await lifecycle.stop('stopping')
  // What a peer keeps open must not keep the process: everything of ours has had its time.
  process.exit(0)
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => signal.addEventListener('abort', () => resolve(), { once: true }))
}

async function openDcs(
  config: ProxyConfig,
  logger: Logger,
  registry: ReturnType<typeof createRegistry>,
): Promise<Dcs | undefined> {
  const { discovery, scope, namespace } = config
  if (discovery.kind !== 'etcd' || scope === undefined) return undefined
  const metrics = createDcsMetrics(registry)
  const options = await etcdOptions({ etcd: discovery.etcd, namespace, logger, metrics })
  return createEtcdDcs({ ...options, scope })
}

/** At start only, so it may be synchronous. Other systems than Linux have no such file: no limit is known then. */
function readDescriptorsMax(): number | undefined {
  try {
    return parseDescriptorsMax(readFileSync('/proc/self/limits', 'utf8'))
  } catch {
    return undefined
  }
}
