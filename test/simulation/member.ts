// One member: its machine, its modelled server, and an agent process that runs the real agent. A supervisor starts the
// agent again when it ends. What commands/agent.ts does before and around the agent is retold here.

import type { IncomingMessage } from 'node:http'
import { Agent } from '../../src/agent/agent.ts'
import type { AgentParts } from '../../src/agent/parts.ts'
import { AccessRules } from '../../src/api/access.ts'
import { agentPort } from '../../src/api/agent-port.ts'
import { Router as RestRouter } from '../../src/api/routes.ts'
import type { EventDraft } from '../../src/cluster/event.ts'
import { type JsonObject, parseJsonObject, printJson } from '../../src/cluster/json.ts'
import type { Tags } from '../../src/cluster/member.ts'
import type { ClusterView } from '../../src/cluster/view.ts'
import { dynamicConfig } from '../../src/config/agent/dynamic.ts'
import { serverSettings } from '../../src/config/agent/settings.ts'
import type { DynamicConfig, LocalConfig } from '../../src/config/agent/types.ts'
import { parsePeerAnswer, unreachable } from '../../src/health/peer.ts'
import { Deadline } from '../../src/platform/deadline.ts'
import { EventLog } from '../../src/platform/event-log.ts'
import { type Machine, Process } from './core/machine.ts'
import { SimDcs } from './etcd/client.ts'
import { localConfig } from './local-config.ts'
import type { WorldParts } from './parts.ts'
import { SimPostgres } from './postgres/port.ts'
import { SimServer } from './postgres/server.ts'
import { askRest, type RestAnswer } from './rest.ts'
import { SimWatchdog } from './watchdog.ts'

const FIRST_READ_MS = 3_000
const RETRY_MS = 1_000
const AFTER_EXIT_MS = 1_500
const PEER_TIMEOUT_MS = 2_000
const UNKEPT_STOP_MS = 30_000
const BOOT_MS = 5_000
const STRANGER = { address: undefined, authorization: undefined, hasCertificate: false }

export class SimMember {
  readonly name: string
  readonly machine: Machine
  readonly server: SimServer
  readonly watchdog: SimWatchdog
  readonly local: LocalConfig
  readonly #parts: WorldParts
  #process: Process | undefined
  #agent: Agent | undefined
  #rest: RestRouter | undefined
  #starts = 0
  #isBooting = false
  /** The world's time at which an agent last was not at work: dead, stopped, or not yet in its loop. */
  #absentUntilMs = 0

  constructor(parts: WorldParts, machine: Machine, number: number, tags: Tags) {
    this.name = machine.name
    this.machine = machine
    this.#parts = parts
    this.local = localConfig(machine.name, number, parts, tags)
    this.server = new SimServer(parts.postgres, machine, this.local.postgres.connectAddress)
    this.watchdog = new SimWatchdog(machine, () => this.#resetMachine())
  }

  get apiUrl(): string {
    const { host, port } = this.local.rest.connectAddress
    return `http://${host}:${port}/patroni`
  }

  get agent(): Agent | undefined {
    return this.#process?.isDead === false ? this.#agent : undefined
  }

  get process(): Process | undefined {
    return this.#process
  }

  /** Is a loop running that is neither stopped nor dead? */
  get isAgentAtWork(): boolean {
    return this.#agent !== undefined && this.#process?.isAwake === true
  }

  /** For how long an agent has been at work without a pause. */
  atWorkForMs(): number {
    return this.isAgentAtWork ? this.#parts.scheduler.nowMs - this.#absentUntilMs : 0
  }

  /** The supervisor starts the agent, unless one lives. */
  startAgent(): void {
    if (this.#isBooting || (this.#process !== undefined && !this.#process.isDead)) return
    this.#starts += 1
    const process = new Process(this.name, this.machine)
    this.#process = process
    void this.#run(process).then(code => {
      if (process.isDead) return
      this.#parts.trace(this.name, `agent ended with code ${code}`)
      this.killAgent()
      this.#parts.scheduler.in(AFTER_EXIT_MS, () => this.startAgent())
    })
  }

  /** SIGKILL. */
  killAgent(): void {
    this.#process?.kill()
    this.#agent = undefined
    this.#rest = undefined
    this.noteAbsent()
  }

  /** The power is gone: nothing of the machine runs. */
  powerOff(): void {
    this.killAgent()
    this.server.killFamily()
    this.watchdog.reset()
  }

  /** Nobody fed the watchdog. What stood still is gone too. */
  #resetMachine(): void {
    const { counts, trace, cutOff, scheduler } = this.#parts
    counts.add('machines reset by a watchdog')
    trace(this.name, 'WATCHDOG: the machine is reset')
    this.powerOff()
    this.server.process.reset()
    this.#isBooting = true
    const back = cutOff(this.machine.name)
    scheduler.in(BOOT_MS, () => {
      back()
      this.#isBooting = false
      this.startAgent()
    })
  }

  /** SIGTERM: the agent stops its server and gives the key away. */
  stopAgent(): void {
    const { agent, process } = this
    process?.deliver(() => agent?.stop())
  }

  noteAbsent(): void {
    this.#absentUntilMs = this.#parts.scheduler.nowMs
  }

  /** GET or OPTIONS on the REST server; undefined when nobody listens. */
  rest(path: string, posted?: string): Promise<RestAnswer> | undefined {
    const rest = this.#rest
    if (rest === undefined) return undefined
    const request = requestOf(path, posted)
    return rest.answer(request, STRANGER, this.#parts.never).then(({ code, body }) => {
      if (path === '/primary' && code === 200) this.#parts.onLeaderClaimed(this.name)
      return { code, body: body?.text ?? '' }
    })
  }

  async #run(process: Process): Promise<number> {
    const { random, cluster, network } = this.#parts
    const dcs = new SimDcs({
      process,
      cluster,
      network,
      random: random.fork(`${this.name}/dcs/${this.#starts}`),
      onTxn: this.#parts.onTxn,
    })
    const postgres = new SimPostgres(this.server, process, random.fork(`${this.name}/port/${this.#starts}`))
    const view = await firstView(dcs, postgres, process)
    const config = this.#parts.readDynamic(view.config?.value ?? this.local.bootstrap.dcs, true)
    const agent = new Agent(this.#agentParts(process, dcs, postgres), config)
    postgres.onGone(() => agent.wake())
    this.#agent = agent
    this.noteAbsent()
    const access = new AccessRules(this.local.rest, process)
    this.#rest = new RestRouter({
      access: () => access,
      audit: () => {},
      agent: agentPort(agent, {
        reload: () => {},
        reloads: () => ({ asked: 0, answered: 0, error: undefined }),
        logHealth: () => ({ queued: 0, lost: 0 }),
        events: () => [],
      }),
      askPeers: (urls, by) => this.#askPeers(process, urls, by),
      clock: process,
      log: this.#parts.logger(this.name),
      ownMetrics: async () => '',
    })
    return agent.run()
  }

  #agentParts(process: Process, dcs: SimDcs, postgres: SimPostgres): AgentParts {
    const { counts } = this.#parts
    const log = this.#parts.logger(this.name)
    /** The long action under way, and who ordered it. */
    let ordered = { rule: '', action: '' }
    return {
      local: this.local,
      dcs,
      postgres,
      clock: process,
      log,
      events: new EventLog<EventDraft>({
        source: this.name,
        clock: process,
        onEvent: event => {
          counts.event(event.kind, event.rule)
          log.info(event.says, { rule: event.rule })
        },
      }),
      askPeers: (urls, by) => this.#askPeers(process, urls, by),
      askFailsafe: (urls, body, by) => this.#askFailsafe(process, urls, body, by),
      readDynamic: this.#parts.readDynamic,
      settingsFor: memoized(config => serverSettings(this.local, config, 15)),
      suspendAwareMs: () => this.machine.uptimeMs(),
      watchdogs: {
        device: () => this.watchdog.device(process),
        isWritable: async () => !this.watchdog.isBroken,
      },
      runScript: async () => ({ kind: 'exited', code: 0 }),
      version: '0.1.0',
      apiUrl: this.apiUrl,
      metrics: {
        turn: (_tookMs, rule) => counts.rule(rule),
        leaseRenewed: () => {},
        fenced: () => counts.add('demotions by deadline'),
        taskEnded: (kind, _tookMs, isDone) => {
          counts.add(`task ${kind}`)
          counts.outcome(ordered.rule, ordered.action, isDone ? 'done' : 'failed')
        },
        acted: (rule, action, outcome) => {
          counts.outcome(rule, action, outcome)
          if (outcome === 'started') ordered = { rule, action }
        },
        callbackEnded: () => {},
        proxiesLate: count => counts.add('proxies late', count),
        watchdogFed: isDone => counts.add(isDone ? 'watchdog fed' : 'watchdog not fed'),
        failsafeAsked: isAccepted => counts.add(isAccepted ? 'failsafe accepted' : 'failsafe refused'),
      },
    }
  }

  /** As FailsafeClient.askAll. */
  #askFailsafe(process: Process, urls: ReadonlyMap<string, string>, body: JsonObject, by: Deadline) {
    const { network, memberAt } = this.#parts
    return Promise.all(
      [...urls].map(async ([name, url]) => {
        const call = { path: '/failsafe', posted: printJson(body), timeoutMs: by.remainingMs() }
        const answer = await askRest(network, process, memberAt(url), call)
        const isAccepted = answer?.code === 200 && answer.body.trim() === 'Accepted'
        return { name, isAccepted, lsn: undefined }
      }),
    )
  }

  /** As PeerClient.askAll. */
  #askPeers(process: Process, urls: ReadonlyMap<string, string>, by: Deadline) {
    const timeoutMs = Math.min(by.remainingMs(), PEER_TIMEOUT_MS)
    const { network } = this.#parts
    return Promise.all(
      [...urls].map(async ([name, url]) => {
        const answer = await askRest(network, process, this.#parts.memberAt(url), {
          path: '/patroni',
          timeoutMs,
        })
        const document = answer === undefined ? undefined : parseJsonObject(answer.body)
        if (document === undefined) return unreachable(name)
        this.#parts.onHeard(this.name, name)
        return parsePeerAnswer(name, document)
      }),
    )
  }
}

/** As much of a request as the router reads. */
function requestOf(path: string, posted: string | undefined): IncomingMessage {
  const body = Buffer.from(posted ?? '')
  const request = {
    method: posted === undefined ? 'GET' : 'POST',
    url: path,
    headers: posted === undefined ? {} : { 'content-length': String(body.length) },
    socket: {},
    async *[Symbol.asyncIterator]() {
      yield body
    },
  }
  return request as unknown as IncomingMessage
}

/** As in commands/agent.ts: waits for etcd as long as it takes, and stops a primary that nobody keeps meanwhile. */
async function firstView(dcs: SimDcs, postgres: SimPostgres, process: Process): Promise<ClusterView> {
  for (;;) {
    try {
      return await dcs.read(Deadline.in(process, FIRST_READ_MS))
    } catch {
      await endUnkeptPrimary(postgres, process)
      await process.sleep(RETRY_MS)
    }
  }
}

async function endUnkeptPrimary(postgres: SimPostgres, process: Process): Promise<void> {
  const { process: state, facts } = await postgres.status(Deadline.in(process, FIRST_READ_MS))
  if (state === 'stopped') return
  const control =
    facts === undefined ? await postgres.controlData(Deadline.in(process, FIRST_READ_MS)) : undefined
  if (facts?.role !== 'primary' && control?.state !== 'in production') return
  await postgres.stop({ mode: 'fast', checkpointFirst: false, by: Deadline.in(process, UNKEPT_STOP_MS) })
}

function memoized<T>(make: (config: DynamicConfig) => T): (config: DynamicConfig) => T {
  const known = new WeakMap<DynamicConfig, T>()
  return config => {
    const before = known.get(config)
    if (before !== undefined) return before
    const value = make(config)
    known.set(config, value)
    return value
  }
}

/** `dynamicConfig` with its answers kept: views of one revision share their objects. */
export function rememberedDynamic(): typeof dynamicConfig {
  const known = new Map<string, DynamicConfig>()
  return (raw, everyMemberHasPgherd) => {
    const key = `${everyMemberHasPgherd}${JSON.stringify(raw)}`
    const before = known.get(key)
    if (before !== undefined) return before
    const value = dynamicConfig(raw, everyMemberHasPgherd)
    known.set(key, value)
    return value
  }
}
