// What changes something: which call is which action, who may call it, and a record of each. Actions themselves are
// elsewhere; here stand their order of checks and their bounds.

import type { IncomingMessage } from 'node:http'
import { type JsonObject, printJson } from '../cluster/json.ts'
import { patchConfig } from '../cluster/patch.ts'
import { printRequest } from '../cluster/request.ts'
import type { ClusterView } from '../cluster/view.ts'
import { readBoolean } from '../config/agent/units.ts'
import type { Condition } from '../dcs/dcs.ts'
import { Deadline } from '../platform/deadline.ts'
import { messageOf } from '../platform/errors.ts'
import type { Logger } from '../platform/log.ts'
import type { AccessRules, Caller } from './access.ts'
import { type Answer, errorPage, json, text } from './answer.ts'
import { readObject } from './body.ts'
import { answerFailsafe } from './failsafe.ts'
import { readOrder } from './order.ts'
import { readRestartOrder } from './restart-order.ts'
import { carryOut, type SwitchoverParts } from './switchover.ts'

/** One call that changed something, or tried to. */
export interface AuditRecord {
  /** `POST /switchover`. */
  readonly call: string
  readonly address: string
  readonly user: string | undefined
  readonly code: number
  readonly says: string
}

export interface ActionParts extends SwitchoverParts {
  readonly access: () => AccessRules
  readonly audit: (record: AuditRecord) => void
  readonly log: Logger
}

interface Call {
  readonly request: IncomingMessage
  readonly caller: Caller
  readonly signal: AbortSignal
}

interface Action {
  readonly body: 'none' | 'optional' | 'required'
  /** Undefined: no check at all. `members: false` leaves members' own addresses out of the allow list. */
  readonly guard: { readonly members: boolean } | undefined
  readonly run: (parts: ActionParts, body: JsonObject, signal: AbortSignal) => Promise<Answer>
}

const guarded = { members: true }
const ACTIONS_MAX = 8
const SAYS_CHARS_MAX = 200

/** Method and first segment of the path. */
const actions: Readonly<Record<string, Action>> = {
  'POST switchover': { body: 'required', guard: guarded, run: order('switchover') },
  'POST failover': { body: 'required', guard: guarded, run: order('failover') },
  'DELETE switchover': { body: 'none', guard: guarded, run: dropSwitchover },
  'PATCH config': { body: 'required', guard: guarded, run: patch },
  'PUT config': { body: 'required', guard: guarded, run: put },
  'POST restart': { body: 'optional', guard: guarded, run: restart },
  'DELETE restart': { body: 'none', guard: guarded, run: dropRestart },
  'POST reload': { body: 'none', guard: guarded, run: reload },
  'POST reinitialize': { body: 'optional', guard: guarded, run: reinitialize },
  // Members' own addresses do not count here: who may keep a leader alive without etcd is listed by hand.
  'POST failsafe': { body: 'required', guard: { members: false }, run: failsafe },
  // Only clusters with shards do something at these two, and only test machines at the last.
  'POST citus': { body: 'required', guard: guarded, run: async () => text(200, 'OK') },
  'POST mpp': { body: 'required', guard: undefined, run: async () => text(200, 'OK') },
  'POST sigterm': { body: 'none', guard: guarded, run: async () => text(202, 'shutdown scheduled') },
}

export class Actions {
  readonly #parts: ActionParts
  readonly #running = { orders: 0, failsafe: 0 }

  constructor(parts: ActionParts) {
    this.#parts = parts
  }

  /** Carries the call out and records it; undefined when it is no action. */
  async answer(method: string, endpoint: string, call: Call): Promise<Answer | undefined> {
    const action = Object.hasOwn(actions, `${method} ${endpoint}`)
      ? actions[`${method} ${endpoint}`]
      : undefined
    if (action === undefined) return undefined
    const { access, agent, audit } = this.#parts
    const { view } = agent.status()
    const verdict =
      action.guard === undefined
        ? { user: undefined }
        : await access().judgeChange(call.caller, view, action.guard.members)
    const answer =
      'refusal' in verdict
        ? verdict.refusal
        : await this.#run(action, call, endpoint === 'failsafe' ? 'failsafe' : 'orders')
    // A leader without etcd asks every second or so; only a no is news.
    if (endpoint === 'failsafe' && answer.code === 200) return answer
    audit({
      call: `${method} /${endpoint}`,
      address: call.caller.address ?? 'unknown address',
      user: 'user' in verdict ? verdict.user : undefined,
      code: answer.code,
      says: (answer.body?.type === 'text/html' ? answer.body.text : '').slice(0, SAYS_CHARS_MAX),
    })
    return answer
  }

  /**
   * Actions wait for their outcome, so their number has a bound. A leader without etcd has one of its own: no number of orders
   * may cost it the word that it lives by.
   */
  async #run(action: Action, { request, signal }: Call, kind: 'orders' | 'failsafe'): Promise<Answer> {
    const { clock } = this.#parts
    if (this.#running[kind] >= ACTIONS_MAX) return errorPage(503, 'Too many actions are under way')
    this.#running[kind]++
    try {
      const body =
        action.body === 'none' ? { value: {} } : await readObject(request, clock, action.body === 'optional')
      return 'refusal' in body ? body.refusal : await action.run(this.#parts, body.value, signal)
    } catch (error) {
      return errorPage(503, messageOf(error))
    } finally {
      this.#running[kind]--
    }
  }
}

function order(endpoint: 'switchover' | 'failover'): Action['run'] {
  return async (parts, body, signal) => {
    const { agent, clock } = parts
    const ordered = readOrder(endpoint, body, agent.status().isPaused, clock.wallMs())
    return 'refusal' in ordered ? ordered.refusal : carryOut(ordered.order, parts, signal)
  }
}

async function failsafe({ agent }: ActionParts, body: JsonObject): Promise<Answer> {
  return answerFailsafe(agent, body)
}

async function dropSwitchover({ agent, clock }: ActionParts): Promise<Answer> {
  const by = Deadline.in(clock, agent.status().config.retryTimeoutSeconds * 1000)
  const view = await agent.dcs.read(by)
  if (view.request?.value.scheduledAt === undefined) return text(404, 'no switchover is scheduled')
  const { modRevision } = view.request
  const value = printRequest({ leader: undefined, candidate: undefined, scheduledAt: undefined })
  const { outcome } = await agent.dcs.write(
    [{ kind: 'mod-revision', key: 'failover', revision: modRevision }],
    [{ kind: 'put', key: 'failover', value }],
    by,
  )
  if (outcome === 'won') return text(200, 'scheduled switchover deleted')
  return outcome === 'lost'
    ? errorPage(409, 'The switchover was changed at the same moment')
    : errorPage(503, `etcd did not confirm (${outcome})`)
}

async function patch(parts: ActionParts, body: JsonObject): Promise<Answer> {
  const { agent, clock } = parts
  const by = Deadline.in(clock, agent.status().config.retryTimeoutSeconds * 1000)
  const { config } = await agent.dcs.read(by)
  if (config === undefined) return errorPage(503, 'There is no configuration in etcd')
  const after = patchConfig(config.value, body)
  if (after !== config.value) {
    const condition = { kind: 'mod-revision', key: 'config', revision: config.modRevision } as const
    const outcome = await writeConfig(parts, printJson(after), [condition], by)
    if (outcome === 'lost') return errorPage(409, 'The configuration was changed at the same moment')
    if (outcome !== 'won') return errorPage(503, `etcd did not confirm (${outcome})`)
  }
  return json(200, after)
}

async function put(parts: ActionParts, body: JsonObject): Promise<Answer> {
  const { agent, clock } = parts
  const by = Deadline.in(clock, agent.status().config.retryTimeoutSeconds * 1000)
  const outcome = await writeConfig(parts, printJson(body), [], by)
  return outcome === 'won' ? json(200, body) : errorPage(502, `etcd did not confirm (${outcome})`)
}

async function writeConfig(
  { agent }: ActionParts,
  value: string,
  conditions: readonly Condition[],
  by: Deadline,
): Promise<'won' | 'lost' | 'unreachable' | 'unknown'> {
  const { outcome } = await agent.dcs.write(conditions, [{ kind: 'put', key: 'config', value }], by)
  if (outcome === 'won') agent.wake()
  return outcome
}

async function restart({ agent, clock }: ActionParts, body: JsonObject): Promise<Answer> {
  const ordered = readRestartOrder(body, isPaused(agent.status().view), clock.wallMs())
  if ('refusal' in ordered) return ordered.refusal
  const { conditions, at } = ordered.order
  if (at !== undefined) {
    return agent.operator.schedule(conditions, at.text, at.wallMs)
      ? text(202, 'Restart scheduled')
      : text(409, 'Another restart is already scheduled')
  }
  const { isDone, says } = await agent.operator.restart(conditions)
  return text(isDone ? 200 : 503, says)
}

async function dropRestart({ agent }: ActionParts): Promise<Answer> {
  return agent.operator.dropSchedule()
    ? text(200, 'scheduled restart deleted')
    : text(404, 'no restarts are scheduled')
}

async function reload({ agent }: ActionParts): Promise<Answer> {
  agent.operator.reload()
  return text(202, 'reload scheduled')
}

async function reinitialize({ agent }: ActionParts, body: JsonObject): Promise<Answer> {
  const refusal = await agent.operator.reinitialize(readBoolean(body['force']) ?? false)
  return refusal === undefined ? text(200, 'reinitialize started') : text(503, refusal)
}

function isPaused(view: ClusterView | undefined): boolean {
  return readBoolean(view?.config?.value['pause']) === true
}
