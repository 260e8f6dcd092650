// `pgherd agent FILE`: builds the real parts of one member and runs them until a signal or a decision ends it.

import { uptime } from 'node:os'
import { Command } from 'commander'
import type { Registry } from 'prom-client'
import { Agent } from '../agent/agent.ts'
import { createAgentMetrics } from '../agent/metrics.ts'
import type { AgentParts } from '../agent/parts.ts'
import { ApiServer } from '../api/server.ts'
import { printEpoch } from '../cluster/epoch.ts'
import type { EventDraft } from '../cluster/event.ts'
import type { ClusterView } from '../cluster/view.ts'
import { dynamicConfig } from '../config/agent/dynamic.ts'
import { loadLocalConfig, printWarning } from '../config/agent/local.ts'
import { serverSettings } from '../config/agent/settings.ts'
import type { DynamicConfig, LocalConfig } from '../config/agent/types.ts'
import type { Dcs } from '../dcs/dcs.ts'
import { createEtcdDcs } from '../dcs/etcd/etcd.ts'
import { createDcsMetrics } from '../dcs/metrics.ts'
import { PeerClient } from '../health/peer.ts'
import { realClock } from '../platform/clock.ts'
import { Deadline } from '../platform/deadline.ts'
import { messageOf, UserError } from '../platform/errors.ts'
import { EventLog } from '../platform/event-log.ts'
import { Lifecycle } from '../platform/lifecycle.ts'
import { type Logger, type LogLevel, openLog } from '../platform/log.ts'
import { createRegistry } from '../platform/metrics.ts'
import { version } from '../platform/version.ts'
import { LocalServer } from '../postgres/server.ts'
import { etcdOptions } from './etcd-options.ts'

const FIRST_READ_MS = 3_000
const RETRY_MS = 1_000
const REPEAT_WAITING_MS = 10_000
const UNKEPT_STOP_MS = 30_000

/** The command as the program's table wants it. */
export function agentCommand(): Command {
  return new Command('agent')
    .description('keep one PostgreSQL server in its cluster: elect, promote, demote, repair')
    .argument('[FILE]', 'patroni.yml, or a directory of them; PATRONI_* variables override')
    .action(async (file: string | undefined) => {
      process.exitCode = await runAgent(file)
    })
}

/** Runs the agent; returns the exit code. Throws UserError for what the operator must change first. */
export async function runAgent(file: string | undefined): Promise<number> {
  refuseRoot()
  const local = await loadLocalConfig(file, process.env)
  const log = openLog({ type: local.log.type, level: local.log.level as LogLevel, fd: 2 })
  for (const warning of local.warnings) log.warning(printWarning(warning))
  const registry = createRegistry()
  const { etcd, namespace, scope } = local
  const metrics = createDcsMetrics(registry)
  const dcs = createEtcdDcs({ ...(await etcdOptions({ etcd, namespace, logger: log, metrics })), scope })
  const peers = new PeerClient()
  const lifecycle = new Lifecycle({ clock: realClock, log, process })
  lifecycle.install()
  lifecycle.onReload(() => log.warning('SIGHUP: this version reads its file again only when it is restarted'))
  try {
    const view = await firstView(dcs, local, log, lifecycle.signal)
    await refuseSecondMember(view, local, log)
    return await runMember({ local, log, registry, dcs, peers, view, lifecycle })
  } finally {
    await peers.close()
    await dcs.close()
    lifecycle.uninstall()
  }
}

interface Member {
  readonly local: LocalConfig
  readonly log: Logger
  readonly registry: Registry
  readonly dcs: Dcs
  readonly peers: PeerClient
  readonly view: ClusterView
  readonly lifecycle: Lifecycle
}

async function runMember(member: Member): Promise<number> {
  const { local, log, view } = member
  const config = dynamicConfig(view.config?.value ?? local.bootstrap.dcs, true)
  const postgres = new LocalServer({
    config: local,
    settings: serverSettings(local, config),
    clock: realClock,
    log,
  })
  try {
    return await runAgentOf(member, config, postgres)
  } finally {
    // A server that was found is watched from then on, and the watch would keep a process alive that has refused.
    await postgres.close()
  }
}

async function runAgentOf(member: Member, config: DynamicConfig, postgres: LocalServer): Promise<number> {
  const { local, log, registry, dcs, peers, lifecycle } = member
  const major = await postgres.verify(Deadline.in(realClock, FIRST_READ_MS * 2))
  const parts: AgentParts = {
    local,
    dcs,
    postgres,
    clock: realClock,
    log,
    events: openEvents(local, log),
    askPeers: (urls, by) => peers.askAll(urls, by),
    readDynamic: dynamicConfig,
    settingsFor: dynamic => serverSettings(local, dynamic, major),
    suspendAwareMs: () => uptime() * 1000,
    version,
    apiUrl: apiUrl(local),
    metrics: createAgentMetrics(registry, () => agent.status().leaseLeftMs / 1000),
  }
  const agent: Agent = new Agent(parts, config)
  const askPeers = (urls: ReadonlyMap<string, string>, by: Deadline) => peers.askAll(urls, by)
  postgres.onGone(() => agent.wake())
  const api = new ApiServer({ rest: local.rest, agent, askPeers, clock: realClock, log, registry, version })
  await api.listen()
  // A bug that nobody caught ends the process: a primary must not go on without the one who watches its lease.
  lifecycle.onFatal(() => {
    if (agent.isFenceArmed) postgres.signalPostmaster('SIGQUIT')
  })
  if (lifecycle.signal.aborted) agent.stop()
  lifecycle.signal.addEventListener('abort', () => agent.stop(), { once: true })
  const code = await agent.run()
  await api.close()
  return code
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
async function endUnkeptPrimary(local: LocalConfig, log: Logger): Promise<void> {
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
    log.error('etcd does not answer and nobody kept this primary: it is stopped until etcd says who leads')
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
  signal: AbortSignal,
): Promise<ClusterView> {
  let saidAtMs = Number.NEGATIVE_INFINITY
  for (;;) {
    try {
      return await dcs.read(Deadline.in(realClock, FIRST_READ_MS))
    } catch (error) {
      if (signal.aborted) throw new UserError('stopped while waiting for etcd', 0)
      const nowMs = realClock.monotonicMs()
      if (nowMs - saidAtMs > REPEAT_WAITING_MS) {
        saidAtMs = nowMs
        // The store's own message tells the cure; its causes repeat it in other words.
        const why = error instanceof Error ? error.message : String(error)
        log.warning(`waiting for etcd at ${local.etcd.endpoints.join(', ')}: ${why}`)
      }
      await endUnkeptPrimary(local, log).catch(failure => log.error(messageOf(failure)))
    }
    await realClock.sleep(RETRY_MS, signal).catch(() => {})
  }
}

/** Two members with one name would fight for one key: whoever answers under our name was here first. */
async function refuseSecondMember(view: ClusterView, local: LocalConfig, log: Logger): Promise<void> {
  const url = view.members.get(local.name)?.apiUrl
  if (url === undefined || !(await answersAtAll(url))) return
  log.critical(`Can't start; there is already a node named '${local.name}' running`)
  throw new UserError(
    `${local.file}: name: there is already a member named '${local.name}' running at ${url}: stop it, or give this one another name`,
  )
}

const LIVENESS_MS = 3_000

async function answersAtAll(apiUrl: string): Promise<boolean> {
  const url = apiUrl.replace(/\/patroni$/, '/liveness')
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(LIVENESS_MS) })
    await answer.body?.cancel()
    return true
  } catch {
    return false
  }
}

function openEvents(local: LocalConfig, log: Logger): EventLog<EventDraft> {
  return new EventLog<EventDraft>({
    source: local.name,
    clock: realClock,
    file: `${local.postgres.dataDir}.events.jsonl`,
    onEvent: event => {
      const { kind, rule, epoch } = event
      log.info(event.says, { event: kind, rule, epoch: epoch === undefined ? undefined : printEpoch(epoch) })
    },
  })
}

function apiUrl(local: LocalConfig): string {
  const { host, port } = local.rest.connectAddress
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}/patroni`
}
