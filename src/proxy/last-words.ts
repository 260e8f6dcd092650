// What clients are told when the proxy ends or refuses their session.

import type { CutReason } from './cut-reason.ts'
import { type FatalError, printFatal, sqlState } from './error-response.ts'

const WHY: Readonly<Record<CutReason, string>> = {
  'newer-epoch': 'its server no longer leads the cluster',
  'evidence-expired': 'its server no longer leads the cluster',
  'store-restored': 'its server no longer leads the cluster',
  'standby-answered': 'its server no longer leads the cluster',
  'proxy-stops': 'the proxy is shutting down',
  'left-pool': 'its server takes no more reads',
  shed: 'a replica is back to take it',
}

/** For a session that is cut. */
function cutError(reason: CutReason, says: string): FatalError {
  return { code: sqlState.adminShutdown, message: `terminating connection: ${WHY[reason]}`, detail: says }
}

let latest: { readonly reason: CutReason; readonly says: string; readonly words: Buffer } | undefined

/** What a session that is cut is told. Thousands that are cut together share the same bytes: nobody may change them. */
export function cutWords(reason: CutReason, says: string): Buffer {
  if (latest?.reason !== reason || latest.says !== says)
    latest = { reason, says, words: printFatal(cutError(reason, says)) }
  return latest.words
}

/** For a session in which nothing moved for too long. */
export function idleError(limitMs: number): FatalError {
  const detail = `nothing moved for ${Math.round(limitMs / 1000)} s, the limit of the proxy`
  return { code: sqlState.adminShutdown, message: 'terminating connection: idle for too long', detail }
}

/** For a session that gets no server. */
export function unavailable(detail: string): FatalError {
  return { code: sqlState.cannotConnectNow, message: 'no server is available for this connection', detail }
}

/** For a session that has no server yet while the proxy stops. */
export function shuttingDown(detail: string): FatalError {
  return { code: sqlState.cannotConnectNow, message: 'the proxy is shutting down', detail }
}

/** For a session whose server says that it is none that may be written to. */
export function answeredAsStandby(server = ''): FatalError {
  return unavailable(`server ${server} answered as a standby`)
}

/** For a session whose servers had no place in time. */
export function serversFull(listener: string): FatalError {
  const detail = `all servers of listener ${listener} have as many sessions as they may`
  return { code: sqlState.tooManyConnections, message: 'sorry, too many clients already', detail }
}

/** For a client whose first bytes are no start of a session. */
export function garbled(message: string): FatalError {
  return { code: sqlState.protocolViolation, message }
}
