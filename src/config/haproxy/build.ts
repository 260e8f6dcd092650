// From the sections of a haproxy.cfg to the configuration of a proxy.

import { hostname } from 'node:os'
import {
  defaultAccess,
  defaultChecks,
  defaultFilter,
  defaultListener,
  defaultTimeouts,
} from '../proxy/defaults.ts'
import type {
  AdminGuard,
  CheckConfig,
  DiscoveryConfig,
  ListenerConfig,
  PoolKind,
  ProxyConfig,
  ServerOptions,
  SessionTimeouts,
} from '../proxy/types.ts'
import { bindsOf } from './bind.ts'
import { onlySources } from './conditions.ts'
import type { BindLine, SectionDraft } from './draft.ts'
import type { Sections } from './read.ts'
import { roleOf, type SectionRole } from './roles.ts'
import { buildServers, ServerNames } from './servers.ts'
import type { Remark } from './tokens.ts'

/** PostgreSQL's authentication_timeout: what a silent client gets behind HAProxy. */
const LOGIN_MS = 60_000
const CONNECT_MS = 4_000
const CONNECTIONS_MAX = 10_000

/** Where members are found instead of in the file's server lines. */
export interface Store {
  readonly discovery: DiscoveryConfig
  readonly scope: string | undefined
  readonly namespace: string
}

/** A section that takes sessions, with the servers that it sends them to. */
export interface Route {
  readonly front: SectionDraft
  /** The same as `front` in a listen section. */
  readonly back: SectionDraft
  readonly role: SectionRole | undefined
}

export interface Built {
  readonly config: ProxyConfig
  readonly routes: readonly Route[]
  readonly remarks: readonly Remark[]
}

/** Builds the configuration; what stands in its way is among the remarks. */
export function buildConfig(sections: Sections, file: string, store: Store | undefined): Built {
  const remarks: Remark[] = []
  const routes = findRoutes(sections.proxies, remarks)
  const names = new ServerNames()
  const listeners = routes.map(route => buildListener(route, sections, names, store, remarks))
  const leader = leaderRoute(routes, remarks, store)
  const stats = sections.proxies.filter(section => isStatsPage(section))
  const config: ProxyConfig = {
    file,
    compat: 'haproxy',
    name: hostname(),
    scope: store?.scope,
    namespace: store?.namespace ?? '/service/',
    discovery: store?.discovery ?? { kind: 'static', leaderListener: leader?.front.name },
    onDcsLoss: 'keep',
    listeners,
    connectionsMax: sections.globalMaxconn?.value,
    admin: buildAdmin(stats, remarks),
    checks: buildChecks(leader ?? routes[0], listeners),
    log: { type: 'plain', level: 'info' },
    relay: 'auto',
    threads: 1,
    eventsFile: undefined,
    vips: [],
  }
  if (listeners.length === 0)
    tell(remarks, 1, 'listen', 'no section takes sessions: expected a bind and servers')
  return { config, routes, remarks }
}

/** Each bind of a status page with what its section says of who may read it. */
function buildAdmin(stats: readonly SectionDraft[], remarks: Remark[]): ProxyConfig['admin'] {
  const doors = stats.flatMap(section => {
    const guard = guardOf(section, remarks)
    const prefix = section.statsUri
    return bindsOf(section.binds).map(bind => ({ bind, guard, prefix }))
  })
  return {
    binds: doors.map(({ bind }) => bind),
    guards: doors.map(({ guard }) => guard),
    prefixes: doors.map(({ prefix }) => prefix),
  }
}

function guardOf(section: SectionDraft, remarks: Remark[]): AdminGuard | undefined {
  const { statsUsers: users, statsRealm: realm, httpRules } = section
  for (const { line, about, rules } of httpRules)
    if (rules === undefined) {
      const says = `would leave the status page open: ${onlySources}, and stats auth for passwords`
      remarks.push({ line, about, says, severity: 'unknown' })
    }
  const { connection, session, content } = section.rules
  const rules = [connection, session, content, httpRules.flatMap(one => one.rules ?? [])].filter(
    list => list.length > 0,
  )
  return users.length + rules.length === 0 ? undefined : { users, realm, rules }
}

/** In mode tcp HAProxy leaves all of it unread, which may well stand in defaults. */
function isStatsPage(section: SectionDraft): boolean {
  const { isStats, isDisabled, mode, servers, defaultBackend } = section
  const takesSessions = servers.length > 0 || defaultBackend !== undefined
  return isStats && mode !== 'tcp' && section.kind !== 'backend' && !takesSessions && !isDisabled
}

function tell(remarks: Remark[], line: number, about: string, says: string): void {
  remarks.push({ line, about, says, severity: 'error' })
}

function findRoutes(proxies: readonly SectionDraft[], remarks: Remark[]): readonly Route[] {
  const routes: Route[] = []
  for (const front of proxies) {
    if (front.kind === 'backend' || front.isDisabled || isStatsPage(front)) continue
    const back = backOf(front, proxies, remarks)
    if (back === undefined) continue
    if (front.binds.length === 0) {
      tell(remarks, front.line, `${front.kind} ${front.name}`, 'a bind is missing')
      continue
    }
    if (front.mode === 'http' || back.mode === 'http')
      tell(
        remarks,
        front.line,
        `${front.kind} ${front.name}`,
        'mode http is for the status page alone: expected mode tcp',
      )
    routes.push({ front, back, role: roleOf(back.check) })
  }
  return routes
}

function backOf(
  front: SectionDraft,
  proxies: readonly SectionDraft[],
  remarks: Remark[],
): SectionDraft | undefined {
  const wanted = front.defaultBackend
  if (wanted === undefined) {
    if (front.kind === 'listen') return front
    tell(remarks, front.line, `frontend ${front.name}`, 'a default_backend is missing')
    return undefined
  }
  const found = proxies.find(other => other.name === wanted.name && other.kind !== 'frontend')
  if (found === undefined) tell(remarks, wanted.line, 'default_backend', `there is no backend ${wanted.name}`)
  return found
}

/** The section whose checks say who leads. All sections for the leader must name the same servers. */
function leaderRoute(
  routes: readonly Route[],
  remarks: Remark[],
  store: Store | undefined,
): Route | undefined {
  const leading = routes.filter(({ role }) => role?.pool === 'leader')
  const [first] = leading
  if (first === undefined || store !== undefined) return first
  const addressesOf = ({ back }: Route) =>
    back.servers
      .map(({ host, port }) => `${host}:${port}`)
      .sort()
      .join()
  const stranger = leading.find(route => addressesOf(route) !== addressesOf(first))
  if (stranger !== undefined) {
    const says = `asks for the leader of other servers than ${first.back.name}: two clusters need two proxies, with a file each`
    tell(remarks, stranger.back.line, `${stranger.back.kind} ${stranger.back.name}`, says)
  }
  return first
}

function buildListener(
  { front, back, role }: Route,
  sections: Sections,
  names: ServerNames,
  store: Store | undefined,
  remarks: Remark[],
): ListenerConfig {
  const built = buildServers(back, { names, sections: sections.proxies, remarks })
  // Beside the members of a store, servers that only their own checks speak for have names of their own.
  const isApart = store !== undefined && role === undefined
  const servers = isApart ? built.map(server => ({ ...server, name: `${back.name}/${server.name}` })) : built
  if (servers.length === 0 && (store === undefined || isApart))
    tell(
      remarks,
      back.line,
      `${back.kind} ${back.name}`,
      back.isStats ? 'no server; a status page needs mode http' : 'no server',
    )
  for (const { name, port, line } of back.servers)
    if (port === 0) tell(remarks, line, `server ${name}`, 'a port is missing')
  return {
    ...defaultListener,
    name: front.name,
    binds: bindsOf(front.binds),
    pool: poolOf(role, store),
    fallback: 'none',
    filter: role?.filter ?? defaultFilter,
    balance: back.balance,
    connectionsMax: front.maxconn ?? sections.globalMaxconn?.value ?? CONNECTIONS_MAX,
    onNoBackend: { ...defaultListener.onNoBackend, holdMs: 0, heldMax: 0, afterHold: 'close' },
    timeouts: buildTimeouts(front, back),
    access: accessOf(front, back),
    acceptsProxy: acceptsProxy(front.binds, remarks),
    retries: back.retries,
    keepAliveMs:
      least([front.keepsAlive.clientIdleMs, back.keepsAlive.serverIdleMs]) ?? defaultListener.keepAliveMs,
    cutAfterMs: servers.some(({ cutsWhenDown }) => cutsWhenDown) ? 0 : undefined,
    shedMs: undefined,
    servers,
    serverDefaults: defaultsOf(back),
    allBackups: back.allBackups,
  }
}

/** A listen section's own content rules are asked once. */
function accessOf(front: SectionDraft, back: SectionDraft): ListenerConfig['access'] {
  const { connection: peerRules, session, content } = front.rules
  const rules = [session, content, back === front ? [] : back.rules.content].filter(list => list.length > 0)
  return { ...defaultAccess, peerRules, rules, perSecond: front.perSecond }
}

/** Without a store the checks of the file decide for each server alone, but for the one that leads. */
function poolOf(role: SectionRole | undefined, store: Store | undefined): PoolKind {
  if (store !== undefined) return role?.pool ?? 'servers'
  return role?.pool === 'leader' ? 'leader' : 'servers'
}

/** For members that have no line of their own. */
function defaultsOf({ defaultServer, source }: SectionDraft): ListenerConfig['serverDefaults'] {
  const { maxconn, sendProxy } = defaultServer
  return {
    connectionsMax: maxconn === 0 ? undefined : maxconn,
    sendProxy,
    source: defaultServer.source ?? source,
  }
}

function acceptsProxy(binds: readonly BindLine[], remarks: Remark[]): boolean {
  const wants = binds.filter(bind => bind.acceptsProxy)
  const [first] = wants
  if (first !== undefined && wants.length < binds.length)
    tell(
      remarks,
      first.line,
      'bind accept-proxy',
      'all binds of a section or none: give this one a section of its own',
    )
  return first !== undefined
}

function buildTimeouts(front: SectionDraft, back: SectionDraft): SessionTimeouts {
  const connectMs = back.timeouts.connect?.ms ?? CONNECT_MS
  const tunnelMs = (back.timeouts.tunnel ?? front.timeouts.tunnel)?.ms
  return {
    ...defaultTimeouts,
    loginMs: LOGIN_MS,
    connectMs,
    queueMs: back.timeouts.queue?.ms ?? connectMs,
    clientMs: tunnelMs ?? front.timeouts.client?.ms,
    serverMs: tunnelMs ?? back.timeouts.server?.ms,
    clientFinMs: front.timeouts['client-fin']?.ms,
    serverFinMs: back.timeouts['server-fin']?.ms,
    clientUnackedMs: least(front.binds.map(({ unackedMs }) => unackedMs)) ?? defaultTimeouts.clientUnackedMs,
    serverUnackedMs:
      least(back.servers.map(({ parameters }) => parameters.unackedMs)) ?? defaultTimeouts.serverUnackedMs,
  }
}

/** One value counts for all of a section, and for both of its sides. */
function least(valuesMs: readonly (number | undefined)[]): number | undefined {
  const said = valuesMs.filter(value => value !== undefined)
  return said.length === 0 ? undefined : Math.min(...said)
}

/** Timing of the proxy's own questions, when members come from a store: those of the leader's section. */
function buildChecks(route: Route | undefined, listeners: readonly ListenerConfig[]): CheckConfig {
  const servers: readonly ServerOptions[] =
    listeners.find(({ name }) => name === route?.front.name)?.servers ?? []
  const check = servers.find(server => server.check !== undefined)?.check
  if (check === undefined) return defaultChecks
  const { intervalMs, fastIntervalMs, downIntervalMs, rise, fall, timeoutMs, tls } = check
  return {
    ...defaultChecks,
    intervalMs,
    fastIntervalMs,
    downIntervalMs,
    rise,
    fall,
    timeoutMs,
    ...(tls === undefined ? {} : { tls }),
  }
}
