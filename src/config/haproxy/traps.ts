// Known traps of such files: what will surprise somebody one day, and the line to change. Pure.

import type { CheckSpec } from '../proxy/check-types.ts'
import type { Route } from './build.ts'
import type { HaproxyFile } from './load.ts'
import { printSpan, silentAfter, twoWriters } from './predict.ts'
import { DURATION_MS_MAX } from './values.ts'

export interface Trap {
  readonly line: number
  readonly says: string
}

/** A session that is silent for less than this may well be an idle one of a pool, or a long report. */
const IDLE_MS = 2 * 3_600_000

/** All traps of a file, by line. */
export function findTraps(file: HaproxyFile): readonly Trap[] {
  const traps = [
    ...file.routes.flatMap((route, index) => trapsOf(route, checkOf(file, index), file)),
    ...globalTraps(file),
  ]
  const unique = new Map(traps.map(trap => [`${trap.line} ${trap.says}`, trap]))
  return [...unique.values()].sort((a, b) => a.line - b.line)
}

function checkOf({ config }: HaproxyFile, index: number): CheckSpec | undefined {
  return config.listeners[index]?.servers.find(({ check }) => check !== undefined)?.check
}

function trapsOf(route: Route, check: CheckSpec | undefined, file: HaproxyFile): readonly Trap[] {
  const { back } = route
  const isForLeader = route.role?.pool === 'leader'
  const serverLine = back.servers[0]?.line ?? back.line
  const checkLine = back.seen.get('default-server') ?? serverLine
  const traps: (Trap | undefined)[] = [
    check === undefined ? noCheck(isForLeader, serverLine) : undefined,
    isForLeader && check !== undefined ? dualWriters(check, checkLine) : undefined,
    isForLeader ? lockIsNotService(back.check.line, back.line) : undefined,
    check === undefined ? undefined : slowSilence(check, back.seen.get('timeout check') ?? checkLine),
    noCut(route, checkLine),
    idleCut(route),
    noQueueTime(route, file),
    noKeepalive(route),
    readsAlone(route),
    noRedispatch(route),
  ]
  return traps.filter(trap => trap !== undefined)
}

function noCheck(isForLeader: boolean, line: number): Trap | undefined {
  const says = 'a server for the leader without `check` can never be known to lead: add check port 8008'
  return isForLeader ? { line, says } : undefined
}

function dualWriters(check: CheckSpec, line: number): Trap | undefined {
  const span = twoWriters(check)
  if (span === undefined) return undefined
  const says =
    `rise ${check.rise} is less than fall ${check.fall}: after a switchover both leaders are up for ${printSpan(span)}, ` +
    `and half of new writes reach a read-only server (pgherd never has two; with HAProxy set fall ${check.rise})`
  return { line, says }
}

function lockIsNotService(line: number | undefined, sectionLine: number): Trap {
  const says =
    'this check says that the agent holds the lock, not that its server takes connections: after a crash clients are ' +
    'sent to a server that recovers (pgherd asks the server, too)'
  return { line: line ?? sectionLine, says }
}

function slowSilence(check: CheckSpec, line: number): Trap | undefined {
  const { fall, intervalMs, timeoutMs } = check
  if (timeoutMs <= intervalMs) return undefined
  const says = `an agent that hangs is found out after up to ${printSpan({ from: silentAfter(check).to, to: silentAfter(check).to })}: fall ${fall} times inter and timeout together, not fall times inter`
  return { line, says }
}

function noCut({ back, role }: Route, line: number): Trap | undefined {
  if (back.servers.every(({ parameters }) => parameters.cutsWhenDown === true) || role === undefined)
    return undefined
  const says =
    'without on-marked-down shutdown-sessions sessions stay on a server that is down until a timeout ends them' +
    (role.pool === 'leader' ? ' (pgherd cuts them when another leads)' : '')
  return { line, says }
}

function idleCut({ front, back }: Route): Trap | undefined {
  const times = [front.timeouts.tunnel ?? front.timeouts.client, back.timeouts.tunnel ?? back.timeouts.server]
  const shortest = times.filter(time => time !== undefined).sort((a, b) => a.ms - b.ms)[0]
  if (shortest === undefined || shortest.ms >= IDLE_MS) return undefined
  const minutes = Math.round(shortest.ms / 60_000)
  const says = `sessions are cut when nothing moves for ${minutes} min: idle ones of a pool, and queries that take longer`
  return { line: shortest.line, says }
}

function noQueueTime({ back }: Route, { config }: HaproxyFile): Trap | undefined {
  const limited = back.servers.find(({ parameters }) => (parameters.maxconn ?? 0) > 0)
  if (limited === undefined || back.timeouts.queue !== undefined) return undefined
  const queueMs = config.listeners.find(({ name }) => name === back.name)?.timeouts.queueMs ?? 0
  if (queueMs === DURATION_MS_MAX) return undefined
  const says = `a client beyond maxconn ${limited.parameters.maxconn} waits ${queueMs / 1000} s (timeout connect, since there is no timeout queue) and is closed without a word`
  return { line: limited.line, says }
}

function noKeepalive({ front, back }: Route): Trap | undefined {
  if (front.keepsAlive.client || back.keepsAlive.server) return undefined
  const says =
    'HAProxy sends no TCP keepalive without option tcpka: a peer that vanished is noticed by a timeout alone (pgherd always sends it)'
  return { line: front.line, says }
}

function readsAlone({ back, role }: Route): Trap | undefined {
  if (role?.pool !== 'replica' || back.servers.some(({ parameters }) => parameters.backup === true))
    return undefined
  const says =
    'when the last replica is gone this port has no server: GET /read-only, or the leader as backup, keeps reads alive'
  return { line: back.check.line ?? back.line, says }
}

function noRedispatch({ back, role }: Route): Trap | undefined {
  if (role?.pool === 'leader' || back.servers.length < 2 || back.seen.has('option redispatch'))
    return undefined
  const says =
    'without option redispatch HAProxy closes clients of a server that refuses while its check is still good, though ' +
    'others could serve them (pgherd goes to another at once)'
  return { line: back.line, says }
}

function globalTraps({ sections, config, routes }: HaproxyFile): readonly Trap[] {
  const traps: Trap[] = []
  const { globalMaxconn } = sections
  if (globalMaxconn !== undefined && globalMaxconn.value < 1000) {
    const ports = [...config.listeners.flatMap(({ binds }) => binds), ...config.admin.binds].map(
      ({ port }) => port,
    )
    const says = `${globalMaxconn.value} connections for ports ${ports.join(', ')} together: the next client gets no answer on any of them, the status page included (pgherd keeps the status port free and answers with 53300)`
    traps.push({ line: globalMaxconn.line, says })
  }
  const sums = addUp(routes)
  for (const { address, sum, line } of sums) {
    const says = `the limits of ${address} in all sections add up to ${sum}: its max_connections must be more than that`
    traps.push({ line, says })
  }
  return traps
}

/** Limits of servers that stand in several sections. */
function addUp(routes: readonly Route[]): readonly { address: string; sum: number; line: number }[] {
  const found = new Map<string, { sum: number; sections: number; line: number }>()
  for (const { back } of routes) {
    for (const { host, port, line, parameters } of back.servers) {
      const known = found.get(`${host}:${port}`) ?? { sum: 0, sections: 0, line }
      found.set(`${host}:${port}`, {
        ...known,
        sum: known.sum + (parameters.maxconn ?? 0),
        sections: known.sections + 1,
      })
    }
  }
  const [first] = [...found].filter(([, { sections, sum }]) => sections > 1 && sum > 0)
  return first === undefined ? [] : [{ address: first[0], sum: first[1].sum, line: first[1].line }]
}
