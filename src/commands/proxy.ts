// `pgherd proxy FILE` and `pgherd proxy --patroni HOST:PORT`: builds the real parts of one proxy and runs them.

import { readFileSync } from 'node:fs'
import { Command, InvalidArgumentError, Option } from 'commander'
import type { EventDraft } from '../cluster/event.ts'
import { type CtlConfig, loadCtlConfig } from '../config/agent/ctl.ts'
import type { EtcdConfig } from '../config/agent/types.ts'
import type { Store } from '../config/haproxy/build.ts'
import { isHaproxyFile, loadHaproxy, printRemark } from '../config/haproxy/load.ts'
import { loadProxyConfig, parseProxyConfig, proxyConfigForPatroni } from '../config/proxy/load.ts'
import { THREADS_MAX } from '../config/proxy/schema.ts'
import type { DiscoveryConfig, ProxyConfig } from '../config/proxy/types.ts'
import type { Dcs } from '../dcs/dcs.ts'
import { createEtcdDcs } from '../dcs/etcd/etcd.ts'
import { createDcsMetrics } from '../dcs/metrics.ts'
import { PemFiles } from '../health/pem-files.ts'
import { realClock } from '../platform/clock.ts'
import { Deadline } from '../platform/deadline.ts'
import { UserError } from '../platform/errors.ts'
import { Lifecycle } from '../platform/lifecycle.ts'
import { type Logger, openLog } from '../platform/log.ts'
import { registerLogMetrics } from '../platform/log-metrics.ts'
import { createRegistry } from '../platform/metrics.ts'
import { version } from '../platform/version.ts'
import { parseDescriptorsMax } from '../proxy/descriptors.ts'
import type { EventSink } from '../proxy/events.ts'
import { ProxyServer } from '../proxy/proxy.ts'
import { chooseTransport, RELAYS, type RelaySetting } from '../proxy/relay/transport.ts'
import type { Transport } from '../proxy/relay/wire.ts'
import { openThreads, type Threads } from '../proxy/threads/threads.ts'
import { etcdOptions, refuseWrongPassword } from './etcd-options.ts'
import { addKeepalivedVips, sortFiles } from './keepalived-files.ts'
import { ProxyVips } from './proxy-vip.ts'

const STOP_MS = 3_000
const NAMESPACE = '/service/'

interface ProxyFlags {
  readonly patroni?: readonly string[]
  readonly etcd?: readonly string[]
  readonly scope?: string
  readonly namespace?: string
  readonly file?: readonly string[]
  readonly lenient?: boolean
  readonly relay?: RelaySetting
  readonly threads?: number
}

/** The command as the program's table wants it. */
export function proxyCommand(): Command {
  return new Command('proxy')
    .description('route sessions: writes to the leader, reads to the replicas')
    .argument('[FILE]', "the proxy's file, or a haproxy.cfg")
    .option('-f, --file <file...>', 'a haproxy.cfg, or several as one, and a keepalived.conf')
    .option(
      '--patroni <address...>',
      'find the members through these REST servers instead of etcd; needs no file',
    )
    .option(
      '--etcd <address...>',
      'with a haproxy.cfg: find the members and the leader in etcd; or the patroni.yml that says how to reach it',
    )
    .option('--scope <name>', 'with --etcd: the name of the cluster')
    .option('--namespace <path>', 'with --etcd: where its keys are (default: /service/)')
    .option('--lenient', 'with a haproxy.cfg: go on without directives that are not known')
    .addOption(new Option('--relay <kind>', 'what moves the bytes, whatever the file says').choices(RELAYS))
    .option('--threads <count>', 'threads that carry sessions, whatever the file says', readThreads)
    .action(async (file: string | undefined, flags: ProxyFlags) => {
      const { relay, threads, ...config } = await readConfig(file, flags)
      await runProxy({ ...config, relay: flags.relay ?? relay, threads: flags.threads ?? threads })
    })
}

function readThreads(text: string): number {
  const count = /^\d{1,3}$/.test(text) ? Number(text) : 0
  if (count < 1 || count > THREADS_MAX)
    throw new InvalidArgumentError(`expected a whole number from 1 to ${THREADS_MAX}`)
  return count
}

async function readConfig(file: string | undefined, flags: ProxyFlags): Promise<ProxyConfig> {
  const { keepalived, others } = await sortFiles([
    ...(flags.file ?? []),
    ...(file === undefined ? [] : [file]),
  ])
  const config = await readProxyConfig(others, flags)
  if (keepalived.length === 0) return config
  const options = { lenient: flags.lenient === true, selfNames: ['haproxy'] }
  const { vips, warnings } = await addKeepalivedVips(config.vips, keepalived, options)
  for (const warning of warnings) process.stderr.write(`pgherd: warning: ${warning}\n`)
  return { ...config, vips }
}

async function readProxyConfig(files: readonly string[], flags: ProxyFlags): Promise<ProxyConfig> {
  const [first] = files
  if (first === undefined && flags.patroni === undefined) {
    throw new UserError('give a file, or --patroni with the address of a member: pgherd proxy FILE')
  }
  if (first === undefined) return proxyConfigForPatroni(flags.patroni ?? [])
  if (await isHaproxyFile(first)) return await readHaproxy(files, flags)
  if (flags.etcd !== undefined)
    throw new UserError('--etcd: belongs to a haproxy.cfg; a file of ours has etcd in it')
  const config = await loadProxyConfig(first)
  return flags.patroni === undefined
    ? config
    : { ...config, discovery: proxyConfigForPatroni(flags.patroni).discovery }
}

async function readHaproxy(files: readonly string[], flags: ProxyFlags): Promise<ProxyConfig> {
  const store = await storeOf(flags)
  const { config, remarks, places } = await loadHaproxy(files, {
    lenient: flags.lenient === true,
    env: process.env,
    ...(store === undefined ? {} : { store }),
  })
  for (const remark of remarks) process.stderr.write(`pgherd: warning: ${printRemark(places, remark)}\n`)
  // Scripts that watch over a haproxy look for a process of this name.
  process.title = 'haproxy'
  return config
}

async function storeOf(flags: ProxyFlags): Promise<Store | undefined> {
  const { etcd, patroni, scope, namespace = NAMESPACE } = flags
  if (etcd === undefined) {
    if (patroni === undefined) return undefined
    return { discovery: proxyConfigForPatroni(patroni).discovery, scope: undefined, namespace }
  }
  const [first = ''] = etcd
  if (etcd.length === 1 && /\.ya?ml$/i.test(first)) return storeIn(first, flags)
  if (scope === undefined) throw new UserError('--etcd: needs --scope, the name of the cluster')
  const hosts = etcd.flatMap(text => text.split(','))
  const { discovery } = parseProxyConfig(JSON.stringify({ scope, etcd: { hosts } }), '--etcd')
  return { discovery, scope, namespace }
}

/** User, password and certificates stand in the members' own files, so that no secret is on a command line. */
async function storeIn(file: string, flags: ProxyFlags): Promise<Store> {
  const { scope, namespace, etcd } = await readStoreFile(file)
  const name = flags.scope ?? scope
  if (name === undefined) throw new UserError(`${file}: scope: is missing: give it, or --scope`)
  return { discovery: { kind: 'etcd', etcd, file }, scope: name, namespace: flags.namespace ?? namespace }
}

function readStoreFile(file: string): Promise<CtlConfig> {
  return loadCtlConfig({ file, dcsUrl: undefined }, { ...process.env, DCS_URL: '' })
}

/** Reads every certificate and key that the configuration names. */
function openPem(config: ProxyConfig, log: Logger): Promise<PemFiles> {
  const checks = config.listeners.flatMap(({ servers }) => servers.flatMap(({ check }) => check?.tls ?? []))
  return PemFiles.open(config.file, [config.checks.tls, ...checks], { clock: realClock, log })
}

/** Runs a proxy until a signal stops it. Throws UserError for what the operator must change first. */
export async function runProxy(config: ProxyConfig): Promise<void> {
  const log = openLog({ ...config.log, fd: 2 })
  const lifecycle = new Lifecycle({ clock: realClock, log, process, readsAgain: false, softStop: true })
  // Until the lifecycle takes it: HAProxy's reload signal would end the process.
  process.on('SIGUSR2', () => {})
  const registry = createRegistry()
  registerLogMetrics(registry, () => log.health())
  const told: EventDraft[] = []
  const tell: EventSink = {
    record: draft => {
      told.push(draft)
    },
  }
  const dcs = await openDcs(config, log, registry, draft => tell.record(draft))
  const record = (draft: EventDraft) => tell.record(draft)
  const vip = new ProxyVips({ config, log, registry, dcs, pid: process.pid, record })
  const chosen = await chooseTransport(realClock, config.relay)
  if (chosen.fallback !== undefined)
    log.warning(`${chosen.fallback}; sessions go over node:net, which costs more`, {
      event: 'relay-fallback',
    })
  const threads = await startThreads(config, chosen.transport, record)
  const transport = threads ?? chosen.transport
  const proxy = new ProxyServer({
    vip,
    transport,
    ...(threads === undefined ? {} : { threads }),
    config,
    clock: realClock,
    log,
    registry,
    dcs,
    version,
    pid: process.pid,
    descriptorsMax: readDescriptorsMax(),
    pem: await openPem(config, log),
  })
  tell.record = draft => proxy.events.record(draft)
  for (const draft of told.splice(0)) tell.record(draft)
  lifecycle.install()
  if (dcs !== undefined) lifecycle.onStop('etcd client', STOP_MS, () => dcs.close())
  if (threads !== undefined) lifecycle.onStop('threads', STOP_MS, () => threads.close())
  lifecycle.onStop('proxy', STOP_MS, () => proxy.stop('the proxy is stopping'))
  // The last registered goes first: the addresses leave before the listeners close.
  lifecycle.onStop('virtual addresses', STOP_MS, by => vip.stop(by))
  lifecycle.onFatal(() => vip.dropNow('the process dies'))
  try {
    await proxy.start()
    log.info(`relay: ${transport.kind}${threads === undefined ? '' : `, in ${config.threads} threads`}`)
    if (!lifecycle.signal.aborted) await vip.start(proxy)
  } catch (error) {
    lifecycle.uninstall()
    await vip.stop(Deadline.in(realClock, STOP_MS))
    await proxy.stop('the proxy could not start')
    await threads?.close()
    await dcs?.close()
    throw error
  }
  await aborted(lifecycle.signal)
  await lifecycle.stop('stopping')
  // What a peer keeps open must not keep the process: everything of ours has had its time.
  process.exit(0)
}

/** Undefined for one thread, the usual way: then there is none but this. */
async function startThreads(
  { threads: count }: ProxyConfig,
  { kind: relay }: Transport,
  record: EventSink['record'],
): Promise<Threads | undefined> {
  if (count === 1) return undefined
  const onHopeless = (error: Error) => {
    // Nobody catches it: the process ends as it does with any bug, and supervision starts it again.
    throw error
  }
  return await openThreads({ count, relay, clock: realClock, record, onHopeless })
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise(resolve => signal.addEventListener('abort', () => resolve(), { once: true }))
}

async function openDcs(
  config: ProxyConfig,
  logger: Logger,
  registry: ReturnType<typeof createRegistry>,
  onEvent: (draft: EventDraft) => void,
): Promise<Dcs | undefined> {
  const { discovery, scope, namespace } = config
  if (discovery.kind !== 'etcd' || scope === undefined) return undefined
  const metrics = createDcsMetrics(registry)
  const { etcd } = discovery
  const reread = rereadEtcd(config.file, discovery)
  const parts = { etcd, namespace, logger, metrics, onEvent, reread }
  const dcs = createEtcdDcs({ ...(await etcdOptions(parts)), scope })
  try {
    await refuseWrongPassword(dcs, config.file)
  } catch (error) {
    await dcs.close()
    throw error
  }
  return dcs
}

/** Reads the file again as at the start, for a password that was changed in it. */
function rereadEtcd(
  file: string,
  first: Extract<DiscoveryConfig, { readonly kind: 'etcd' }>,
): () => Promise<EtcdConfig> {
  return async () => {
    if (first.file !== undefined) return (await readStoreFile(first.file)).etcd
    // A haproxy.cfg says nothing of etcd: the command line did.
    if (await isHaproxyFile(file)) return first.etcd
    const { discovery } = await loadProxyConfig(file)
    if (discovery.kind !== 'etcd') throw new UserError(`${file}: etcd: is missing`)
    return discovery.etcd
  }
}

/** At start only, so it may be synchronous. Other systems than Linux have no such file: no limit is known then. */
function readDescriptorsMax(): number | undefined {
  try {
    return parseDescriptorsMax(readFileSync('/proc/self/limits', 'utf8'))
  } catch {
    return undefined
  }
}
