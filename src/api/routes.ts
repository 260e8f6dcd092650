// Which request gets which answer. Everything that a load balancer calls is answered from memory at once; what reads
// etcd or acts has a deadline.

import type { IncomingMessage } from 'node:http'
import type { ClusterView } from '../cluster/view.ts'
import type { RestConfig } from '../config/agent/types.ts'
import { Deadline } from '../platform/deadline.ts'
import { messageOf } from '../platform/errors.ts'
import type { Logger } from '../platform/log.ts'
import { refuseAccess, userOf } from './access.ts'
import type { AgentStatus } from './agent-port.ts'
import { type Answer, errorPage, json, plain, statusOnly } from './answer.ts'
import { readObject } from './body.ts'
import { believable, healthCheck, liveness, readiness } from './health-check.ts'
import { clusterDocument, historyDocument } from './information.ts'
import { patroniMetrics } from './metrics.ts'
import { readOrder } from './order.ts'
import { statusDocument } from './status-document.ts'
import { carryOut, type SwitchoverParts } from './switchover.ts'

export interface RouterParts extends SwitchoverParts {
  readonly authentication: RestConfig['authentication']
  readonly log: Logger
  /** The process's own metrics as text. */
  readonly ownMetrics: () => Promise<string>
}

/** What is needed of a request, with its query already read. */
interface Call {
  readonly request: IncomingMessage
  readonly path: string
  readonly query: URLSearchParams
  readonly signal: AbortSignal
}

const ACTIONS_MAX = 8
/** How long `/patroni` waits for a new look at the server before it answers with the last one. */
const FRESH_MS = 1_000

export class Router {
  readonly #parts: RouterParts
  #actions = 0

  constructor(parts: RouterParts) {
    this.#parts = parts
  }

  /** The answer to one request. `signal` aborts when the caller has gone. */
  async answer(request: IncomingMessage, signal: AbortSignal): Promise<Answer> {
    const call = { request, signal, ...readTarget(request.url ?? '/') }
    switch (request.method) {
      case 'GET':
        return this.#get(call)
      case 'HEAD':
      case 'OPTIONS':
        return statusOnly(healthCheck(call.path, call.query, this.#status()))
      case 'POST':
        return this.#post(call)
      default:
        return unsupported(request.method)
    }
  }

  #status(): AgentStatus {
    const { agent, clock } = this.#parts
    return believable(agent.status(), clock.monotonicMs())
  }

  async #freshStatus(): Promise<AgentStatus> {
    const { agent, clock } = this.#parts
    return believable(await agent.freshStatus(Deadline.in(clock, FRESH_MS)), clock.monotonicMs())
  }

  async #get({ path, query }: Call): Promise<Answer> {
    const status = this.#status()
    switch (firstSegment(path)) {
      case 'patroni':
        return json(200, statusDocument(await this.#freshStatus()))
      case 'cluster':
        return this.#withView('fresh', view => json(200, clusterDocument(view, status.scope)))
      case 'history':
        return this.#withView('cached', view => json(200, historyDocument(view)))
      case 'config':
        return this.#withView('fresh', ({ config }) =>
          config === undefined
            ? errorPage(502, 'There is no configuration in etcd')
            : json(200, config.value),
        )
      case 'failsafe':
        return this.#withView('cached', ({ failsafe }) =>
          failsafe === undefined ? errorPage(502, 'Failsafe mode is off') : json(200, failsafe),
        )
      case 'metrics':
        return plain(200, patroniMetrics(status) + (await this.#parts.ownMetrics()))
      case 'liveness':
        return statusOnly(liveness(status, this.#parts.clock.monotonicMs()))
      case 'readiness':
        return statusOnly(readiness(query, status))
      default:
        return json(healthCheck(path, query, status), statusDocument(status))
    }
  }

  /** `fresh` asks etcd and falls back to the last view; `cached` asks only when there is no view yet. */
  async #withView(want: 'fresh' | 'cached', answer: (view: ClusterView) => Answer): Promise<Answer> {
    const { agent, clock } = this.#parts
    const status: AgentStatus = agent.status()
    if (want === 'cached' && status.view !== undefined) return answer(status.view)
    try {
      return answer(await agent.dcs.read(Deadline.in(clock, status.config.retryTimeoutSeconds * 1000)))
    } catch {
      return status.view === undefined ? errorPage(503, 'etcd does not answer') : answer(status.view)
    }
  }

  async #post(call: Call): Promise<Answer> {
    const endpoint = firstSegment(call.path)
    if (endpoint !== 'switchover' && endpoint !== 'failover') return unsupported('POST')
    const header = call.request.headers.authorization
    const refusal = refuseAccess(this.#parts.authentication, header)
    const answer = refusal ?? (await this.#act(endpoint, call))
    const from = call.request.socket.remoteAddress ?? 'unknown address'
    const user = refusal === undefined ? userOf(header) : undefined
    this.#parts.log.info(
      `POST /${endpoint} from ${from}${user === undefined ? '' : ` as ${user}`}: ${answer.code} ${answer.body?.text ?? ''}`,
      { event: 'api-action' },
    )
    return answer
  }

  /** Each action waits for its outcome, so their number has a bound. */
  async #act(endpoint: 'switchover' | 'failover', { request, signal }: Call): Promise<Answer> {
    const body = await readObject(request)
    if ('refusal' in body) return body.refusal
    const { agent, clock } = this.#parts
    const ordered = readOrder(endpoint, body.value, agent.status().isPaused, clock.wallMs())
    if ('refusal' in ordered) return ordered.refusal
    if (this.#actions >= ACTIONS_MAX) return errorPage(503, 'Too many actions are under way')
    this.#actions++
    try {
      return await carryOut(ordered.order, this.#parts, signal)
    } catch (error) {
      return errorPage(503, `The ${ordered.order.action} could not be carried out: ${messageOf(error)}`)
    } finally {
      this.#actions--
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

function unsupported(method: string | undefined): Answer {
  return errorPage(501, `Unsupported method (${method ?? ''})`)
}
