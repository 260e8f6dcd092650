// `pgherd agent FILE`: builds the real parts of one member and runs them until a signal or a decision ends it.

import { uptime } from 'node:os'
import { Command } from 'commander'
import type { Registry } from 'prom-client'
import { Agent as HttpAgent, request } from 'undici'
import { Agent } from '../agent/agent.ts'
import { createAgentMetrics } from '../agent/metrics.ts'
import type { AgentParts } from '../agent/parts.ts'
import { agentPort } from '../api/agent-port.ts'
import { auditEvent, eventDocument } from '../api/events.ts'
import { ApiServer } from '../api/server.ts'
import { printEpoch } from '../cluster/epoch.ts'
import type { EventDraft } from '../cluster/event.ts'
import type { ClusterView } from '../cluster/view.ts'
import { dynamicConfig } from '../config/agent/dynamic.ts'
import { printWhere } from '../config/agent/etcd.ts'
import { loadLocalConfig, printWarning } from '../config/agent/local.ts'
import { serverSettings } from '../config/agent/settings.ts'
import type { DynamicConfig, LocalConfig } from '../config/agent/types.ts'
import type { Dcs } from '../dcs/dcs.ts'
import { createEtcdDcs } from '../dcs/etcd/etcd.ts'
import { createDcsMetrics } from '../dcs/metrics.ts'
import { FailsafeClient } from '../health/failsafe.ts'
import { PeerClient } from '../health/peer.ts'
import { type RestCredentials, readRestCredentials } from '../health/rest-client.ts'
import { realClock } from '../platform/clock.ts'
import { Deadline } from '../platform/deadline.ts'
import { messageOf, UserError } from '../platform/errors.ts'
import { EventLog } from '../platform/event-log.ts'
import { Lifecycle } from '../platform/lifecycle.ts'
import type { Logger } from '../platform/log.ts'
import { registerLogMetrics } from '../platform/log-metrics.ts'
import { createRegistry } from '../platform/metrics.ts'
import { version } from '../platform/version.ts'
import { LocalServer } from '../postgres/server.ts'
import { AgentLog } from './agent-log.ts'
import { machineWatchdogs, runCommandLine } from './agent-machine.ts'
import { Reloader } from './agent-reload.ts'
import { AgentVips } from './agent-vip.ts'
import { etcdOptions, refusalOf } from './etcd-options.ts'
import { addKeepalivedVips } from './keepalived-files.ts'

const FIRST_READ_MS = 3_000
const RETRY_MS = 1_000
const REPEAT_WAITING_MS = 10_000
const UNKEPT_STOP_MS = 30_000

interface AgentFlags {
  readonly vip?: readonly string[]
  readonly lenient?: boolean
}

/** The command as the program's table wants it. */
export function agentCommand(): Command {
  return new Command('agent')
    .description('keep one PostgreSQL server in its cluster: elect, promote, demote, repair')
    .argument('[FILE]', 'patroni.yml, or a directory of them; PATRONI_* variables override')
    .option('--vip <file...>', 'a keepalived.conf: hold its addresses by VRRP')
    .option('--lenient', 'with --vip: keywords that are not known are warnings')
    .action(async (file: string | undefined, flags: AgentFlags) => {
      process.exitCode = await runAgent(file, flags)
    })
}

/** Runs the agent; returns the exit code. Throws UserError for what the operator must change first. */
export async function runAgent(file: string | undefined, flags: AgentFlags = {}): Promise<number> {
  refuseRoot()
  // The variables leave our own environment, so that no child sees them; a reload needs them again.
  const environment = { ...process.env }
  const readFile = () => loadLocalConfig(file, { ...environment })
  const loaded = await loadLocalConfig(file, process.env)
  const options = { lenient: flags.lenient === true, selfNames: ['patroni'] }
  const { vips, warnings } = await addKeepalivedVips(loaded.vips, flags.vip ?? [], options)
  const local = { ...loaded, vips }
  const agentLog = await AgentLog.open(local.log, local.file)
  const { log } = agentLog
  for (const warning of local.warnings) log.warning(printWarning(warning))
  for (const warning of warnings) log.warning(warning)
  const registry = createRegistry()
  registerLogMetrics(registry, () => agentLog.health())
  const { etcd, namespace, scope } = local
  const events = openEvents(local, log)
  const start = { isOver: false }
  const dcs = createEtcdDcs({
    ...(await etcdOptions({
      etcd,
      namespace,
      logger: log.with({ part: 'etcd' }),
      metrics: createDcsMetrics(registry),
      // Before the first answer what the store tells is no event of the cluster's: whoever waits says so, or ends with one line.
      onEvent: draft => {
        if (start.isOver) events.record(draft)
      },
      reread: async () => (await readFile()).etcd,
    })),
    scope,
  })
  const credentials = await readRestCredentials(local.restClient)
  const peers = new PeerClient(credentials)
  const failsafe = new FailsafeClient(credentials)
  const lifecycle = new Lifecycle({ clock: realClock, log, process, readsAgain: true, softStop: false })
  lifecycle.install()
  try {
    const view = await firstView(dcs, local, log, credentials, lifecycle.signal)
    start.isOver = true
    if (await isNameTaken(view, local, log, credentials)) return 1
    const parts = { local, log, agentLog, registry, dcs, events, peers, failsafe, view, lifecycle, readFile }
    return await runMember(parts)
  } finally {
    await peers.close()
    await failsafe.close()
    await dcs.close()
    lifecycle.uninstall()
    await agentLog.close()
  }
}

interface Member {
  readonly local: LocalConfig
  readonly log: Logger
  readonly agentLog: AgentLog
  readonly registry: Registry
  readonly dcs: Dcs
  readonly events: EventLog<EventDraft>
  readonly peers: PeerClient
  readonly failsafe: FailsafeClient
  readonly view: ClusterView
  readonly lifecycle: Lifecycle
  readonly readFile: () => Promise<LocalConfig>
}

async function runMember(member: Member): Promise<number> {
  const { local, log, view } = member
  const config = dynamicConfig(view.config?.value ?? local.bootstrap.dcs, true)
  const postgres = new LocalServer({
    config: local,
    settings: serverSettings(local, config),
    clock: realClock,
    log: log.with({ part: 'postgres' }),
  })
  try {
    return await runAgentOf(member, config, postgres)
  } finally {
    // A server that was found is watched from then on, and the watch would keep a process alive that has refused.
    await postgres.close()
  }
}

async function runAgentOf(member: Member, config: DynamicConfig, postgres: LocalServer): Promise<number> {
  const { log, registry, dcs, events, peers, lifecycle, readFile } = member
  const major = await postgres.verify(Deadline.in(realClock, FIRST_READ_MS * 2))
  const node = { local: member.local }
  const parts: AgentParts = {
    get local() {
      return node.local
    },
    dcs,
    postgres,
    clock: realClock,
    log: log.with({ part: 'agent' }),
    events,
    askPeers: (urls, by) => peers.askAll(urls, by),
    askFailsafe: (urls, body, by) => member.failsafe.askAll(urls, body, by),
    readDynamic: dynamicConfig,
    settingsFor: dynamic => serverSettings(node.local, dynamic, major),
    suspendAwareMs: () => uptime() * 1000,
    version,
    get apiUrl() {
      return apiUrl(node.local)
    },
    watchdogs: machineWatchdogs,
    runScript: runCommandLine,
    metrics: createAgentMetrics(registry, {
      leaseLeftSeconds: () => agent.status().leaseLeftMs / 1000,
      isWatched: () => agent.isWatched,
      unansweredSeconds: () => agent.unansweredMs / 1000,
      storage: () => postgres.storage,
      logicalSlots: () => agent.logicalSlots,
    }),
  }
  const agent: Agent = new Agent(parts, config)
  postgres.onGone(() => agent.wake())
  const reloader: Reloader = new Reloader({
    node,
    readFile,
    agentLog: member.agentLog,
    postgres,
    peers,
    failsafe: member.failsafe,
    api: () => api,
    agent: () => agent,
  })
  const api: ApiServer = openApi(member, agent, events, reloader)
  await api.listen()
  lifecycle.onReload(() => reloader.request())
  // A bug that nobody caught ends the process: a primary must not go on without the one who watches its lease.
  const record = (draft: EventDraft) => void events.record(draft)
  const vips = new AgentVips({ local: member.local, log: member.log, registry, dcs, record })
  lifecycle.onFatal(() => {
    vips.dropNow('the process dies')
    if (agent.isFenceArmed) postgres.signalPostmaster('SIGQUIT')
  })
  const leave = () => {
    // First: nobody may be sent to a server that is about to stop.
    void vips.stop()
    agent.stop()
  }
  if (lifecycle.signal.aborted) leave()
  lifecycle.signal.addEventListener('abort', leave, { once: true })
  try {
    if (!lifecycle.signal.aborted) await vips.start(agent)
    return await agent.run()
  } finally {
    await vips.stop()
    await api.close()
  }
}

/** The REST server with the agent behind it. */
function openApi(
  { local, log, agentLog, registry, peers }: Member,
  agent: Agent,
  events: EventLog<EventDraft>,
  reloader: Reloader,
): ApiServer {
  const port = agentPort(agent, {
    reload: () => reloader.request(),
    reloads: () => reloader.report,
    logHealth: () => agentLog.health(),
    events: count => events.last(count).map(eventDocument),
  })
  return new ApiServer({
    rest: local.rest,
    agent: port,
    askPeers: (urls, by) => peers.askAll(urls, by),
    clock: realClock,
    log: log.with({ part: 'rest' }),
    registry,
    version,
    audit: record => void events.record(auditEvent(record)),
  })
}

function refuseRoot(): void {
  if (process.getuid?.() !== 0) return
  throw new UserError(
    'pgherd agent must not run as root, because PostgreSQL does not: start it as the user that owns the data directory, ' +
      'for example: runuser -u postgres -- pgherd agent FILE',
  )
}

/**
 * A primary without an agent may have been replaced long ago. While etcd cannot tell, it is stopped, as it would be by an
 * agent that had been running.
 */
async function endUnkeptPrimary(
  local: LocalConfig,
  log: Logger,
  credentials: RestCredentials,
  lack: string,
): Promise<void> {
  // Another agent answers at our address: the server is kept, and we are the mistake.
  if (await answersAtAll(apiUrl(local), credentials)) return
  const config = dynamicConfig(local.bootstrap.dcs, true)
  const settings = serverSettings(local, config)
  const postgres = new LocalServer({ config: local, settings, clock: realClock, log })
  try {
    const { process, facts } = await postgres.status(Deadline.in(realClock, FIRST_READ_MS))
    if (process === 'stopped') return
    // A server that does not answer (a wrong password, a hang) still has a control file.
    const isPrimary =
      facts === undefined
        ? (await postgres.controlData(Deadline.in(realClock, FIRST_READ_MS)))?.state === 'in production'
        : facts.role === 'primary'
    if (!isPrimary) return
    const kept = await postgres.keptDynamicConfig(Deadline.in(realClock, FIRST_READ_MS))
    if (kept !== undefined && dynamicConfig(kept, true).isPaused) {
      log.warning(
        `PAUSE: ${lack} and nobody kept this primary: the cluster was paused when it last did, so it runs on`,
      )
      return
    }
    log.error(`${lack} and nobody kept this primary: it is stopped until an agent hears from etcd who leads`)
    const by = Deadline.in(realClock, UNKEPT_STOP_MS)
    await postgres.stop({ mode: 'fast', checkpointFirst: false, by })
  } finally {
    await postgres.close()
  }
}

/** Waits for etcd as long as it takes, and says so. */
async function firstView(
  dcs: Dcs,
  local: LocalConfig,
  log: Logger,
  credentials: RestCredentials,
  signal: AbortSignal,
): Promise<ClusterView> {
  let saidAtMs = Number.NEGATIVE_INFINITY
  for (;;) {
    try {
      return await dcs.read(Deadline.in(realClock, FIRST_READ_MS))
    } catch (error) {
      if (signal.aborted) throw new UserError('stopped while waiting for etcd', 0)
      const refusal = refusalOf(error, local.file)
      const nowMs = realClock.monotonicMs()
      if (refusal === undefined && nowMs - saidAtMs > REPEAT_WAITING_MS) {
        saidAtMs = nowMs
        // The store's own message tells the cure; its causes repeat it in other words.
        const why = error instanceof Error ? error.message : String(error)
        log.warning(`waiting for etcd at ${printWhere(local.etcd)}: ${why}`)
      }
      const lack = refusal === undefined ? 'etcd does not answer' : 'etcd refuses us'
      await endUnkeptPrimary(local, log, credentials, lack).catch(failure => log.error(messageOf(failure)))
      if (refusal !== undefined) throw refusal
    }
    await realClock.sleep(RETRY_MS, signal).catch(() => {})
  }
}

/**
 * Two members with one name would fight for one key: whoever answers under our name was here first. The line begins as
 * Patroni's does, because people watch for it, and ends with the cure.
 */
async function isNameTaken(
  view: ClusterView,
  local: LocalConfig,
  log: Logger,
  credentials: RestCredentials,
): Promise<boolean> {
  const url = view.members.get(local.name)?.apiUrl
  if (url === undefined || !(await answersAtAll(url, credentials))) return false
  log.critical(
    `Can't start; there is already a node named '${local.name}' running at ${url}: stop it, or give this one another name in ${local.file}`,
  )
  return true
}

const LIVENESS_MS = 3_000

/** Whatever certificate it shows: the question is only whether somebody is there. */
async function answersAtAll(apiUrl: string, { connect }: RestCredentials): Promise<boolean> {
  const dispatcher = new HttpAgent({ connect: { ...connect, rejectUnauthorized: false } })
  try {
    const url = apiUrl.replace(/\/patroni$/, '/liveness')
    const answer = await request(url, { dispatcher, signal: AbortSignal.timeout(LIVENESS_MS) })
    await answer.body.dump()
    return true
  } catch {
    return false
  } finally {
    await dispatcher.destroy()
  }
}

function openEvents(local: LocalConfig, log: Logger): EventLog<EventDraft> {
  // A level of its own for who changed what: `loggers: {pgherd.rest: INFO}` keeps it in a log that is quiet otherwise.
  const ofRest = log.with({ part: 'rest' })
  return new EventLog<EventDraft>({
    source: local.name,
    clock: realClock,
    file: `${local.postgres.dataDir}.events.jsonl`,
    onEvent: event => {
      const { kind, rule, epoch } = event
      const to = kind === 'api-action' ? ofRest : log
      to.info(event.says, { event: kind, rule, epoch: epoch === undefined ? undefined : printEpoch(epoch) })
    },
  })
}

function apiUrl(local: LocalConfig): string {
  const { host, port } = local.rest.connectAddress
  const scheme = local.rest.tls === undefined ? 'http' : 'https'
  return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}/patroni`
}
