// Which request gets which answer. Everything that a load balancer calls is answered from memory at once; what reads
// etcd or acts has a deadline.

import type { IncomingMessage } from 'node:http'
import type { ClusterView } from '../cluster/view.ts'
import { Deadline } from '../platform/deadline.ts'
import type { Caller } from './access.ts'
import { type ActionParts, Actions } from './actions.ts'
import type { AgentStatus } from './agent-port.ts'
import { type Answer, errorPage, json, plain, statusOnly } from './answer.ts'
import { believable, healthCheck, liveness, readiness } from './health-check.ts'
import { clusterDocument, historyDocument } from './information.ts'
import { patroniMetrics } from './metrics.ts'
import { SharedRead } from './shared-read.ts'
import { statusDocument } from './status-document.ts'

export interface RouterParts extends ActionParts {
  /** The process's own metrics as text. */
  readonly ownMetrics: () => Promise<string>
}

/** What is needed of a request, with its query already read. */
interface Call {
  readonly request: IncomingMessage
  readonly caller: Caller
  readonly path: string
  readonly query: URLSearchParams
  readonly signal: AbortSignal
}

/** How long `/patroni` waits for a new look at the server before it answers with the last one. */
const FRESH_MS = 1_000
/** Callers that wait for etcd, and others that wait for the server. Fewer than connections: a health check needs one too. */
const WAITING_MAX = 100

/** Documents that a read-only account guards, when there is one. */
const FOR_ACCOUNTS: ReadonlySet<string> = new Set(['config', 'history', 'metrics', 'pgherd'])
const EVENTS_DEFAULT = 100
const EVENTS_MAX = 1_000

export class Router {
  readonly #parts: RouterParts
  readonly #actions: Actions
  readonly #etcd: SharedRead
  readonly #waiting = { etcd: 0, server: 0 }

  constructor(parts: RouterParts) {
    this.#parts = parts
    this.#actions = new Actions(parts)
    this.#etcd = new SharedRead(parts)
  }

  /** The answer to one request. `signal` aborts when the caller has gone. */
  async answer(request: IncomingMessage, caller: Caller, signal: AbortSignal): Promise<Answer> {
    const call = { request, caller, signal, ...readTarget(request.url ?? '/') }
    const { method = '' } = request
    switch (method) {
      case 'GET':
        return this.#get(call)
      case 'HEAD':
      case 'OPTIONS':
        return statusOnly(healthCheck(call.path, call.query, this.#status()))
      default:
        return (
          (await this.#actions.answer(method, firstSegment(call.path), call)) ??
          errorPage(501, `Unsupported method (${method})`)
        )
    }
  }

  #status(): AgentStatus {
    const { agent, clock } = this.#parts
    return believable(agent.status(), clock.monotonicMs())
  }

  /** What is in memory for the one who is too many: a proxy or a member that is told nothing takes us for dead. */
  async #freshStatus(): Promise<AgentStatus> {
    const { agent, clock } = this.#parts
    if (this.#waiting.server >= WAITING_MAX) return this.#status()
    this.#waiting.server += 1
    try {
      return believable(await agent.freshStatus(Deadline.in(clock, FRESH_MS)), clock.monotonicMs())
    } finally {
      this.#waiting.server -= 1
    }
  }

  async #get({ path, query, caller, signal }: Call): Promise<Answer> {
    const status = this.#status()
    const endpoint = firstSegment(path)
    // Members, proxies and load balancers decide by the other documents: those stay open.
    const refusal = FOR_ACCOUNTS.has(endpoint) ? this.#parts.access().judgeRead(caller) : undefined
    if (refusal !== undefined) return refusal
    switch (endpoint) {
      case 'patroni':
        return json(200, statusDocument(await this.#freshStatus()))
      case 'cluster':
        return this.#withView('fresh', signal, view => json(200, clusterDocument(view, status.scope)))
      case 'history':
        return this.#withView('cached', signal, view => json(200, historyDocument(view)))
      case 'config':
        return this.#withView('fresh', signal, ({ config }) =>
          config === undefined
            ? errorPage(502, 'There is no configuration in etcd')
            : json(200, config.value),
        )
      case 'failsafe':
        return this.#withView('cached', signal, ({ failsafe }) =>
          failsafe === undefined ? errorPage(502, 'Failsafe mode is off') : json(200, failsafe),
        )
      case 'metrics':
        return plain(200, patroniMetrics(status) + (await this.#parts.ownMetrics()))
      case 'pgherd':
        return this.#own(path, query)
      case 'liveness':
        return statusOnly(liveness(status, this.#parts.clock.monotonicMs()))
      case 'readiness':
        return statusOnly(readiness(query, status))
      default:
        return json(healthCheck(path, query, status), statusDocument(status))
    }
  }

  /** What only we have. */
  #own(path: string, query: URLSearchParams): Answer {
    if (!/^\/+pgherd\/+events\/?$/.test(path)) return errorPage(404, 'There is /pgherd/events')
    const wanted = Number(query.get('count') ?? EVENTS_DEFAULT)
    const count = Number.isSafeInteger(wanted) ? Math.min(Math.max(wanted, 0), EVENTS_MAX) : EVENTS_DEFAULT
    return json(200, this.#parts.agent.events(count))
  }

  /** `fresh` asks etcd and falls back to the last view; `cached` asks only when there is no view yet. */
  async #withView(
    want: 'fresh' | 'cached',
    signal: AbortSignal,
    answer: (view: ClusterView) => Answer,
  ): Promise<Answer> {
    const { view } = this.#parts.agent.status()
    if (want === 'cached' && view !== undefined) return answer(view)
    if (this.#waiting.etcd >= WAITING_MAX) return errorPage(503, 'Too many callers wait for etcd')
    this.#waiting.etcd += 1
    try {
      return answer(await this.#etcd.view(signal))
    } catch {
      const last = this.#parts.agent.status().view
      return last === undefined ? errorPage(503, 'etcd does not answer') : answer(last)
    } finally {
      this.#waiting.etcd -= 1
    }
  }
}

/** The path, and the query without empty values. An absolute URL counts by its path. */
function readTarget(target: string): { readonly path: string; readonly query: URLSearchParams } {
  const relative = target.replace(/^[a-z]+:\/\/[^/?#]*/i, '')
  const [beforeHash = ''] = relative.split('#', 1)
  const mark = beforeHash.indexOf('?')
  const path = mark < 0 ? beforeHash : beforeHash.slice(0, mark)
  const query = new URLSearchParams(mark < 0 ? '' : beforeHash.slice(mark + 1))
  const filled = [...query].filter(([, value]) => value !== '')
  return { path: path === '' ? '/' : path, query: new URLSearchParams(filled) }
}

function firstSegment(path: string): string {
  return path.replace(/^\/+/, '').split('/', 1)[0] ?? ''
}
