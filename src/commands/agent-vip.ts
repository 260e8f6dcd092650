// Connects an agent with the virtual addresses that it may hold: they follow its own server.

import type { Registry } from 'prom-client'
import type { Agent } from '../agent/agent.ts'
import type { EventDraft } from '../cluster/event.ts'
import type { LocalConfig } from '../config/agent/types.ts'
import type { Dcs } from '../dcs/dcs.ts'
import { realClock } from '../platform/clock.ts'
import { Deadline } from '../platform/deadline.ts'
import type { Logger } from '../platform/log.ts'
import { Vips } from '../vip/vips.ts'
import { type AgentStanding, agentWish } from '../vip/wish.ts'
import { guardWords, kernelMs } from './vip.ts'

const LOOK_MS = 100
const STOP_MS = 3_000

export interface AgentVipsParts {
  readonly local: LocalConfig
  readonly log: Logger
  readonly registry: Registry
  readonly dcs: Dcs
  readonly record: (draft: EventDraft) => void
}

export class AgentVips {
  readonly #vips: Vips
  #timer: NodeJS.Timeout | undefined
  #stopped: Promise<void> | undefined

  constructor({ local, log, registry, dcs, record }: AgentVipsParts) {
    const { name, scope, namespace, etcd } = local
    this.#vips = new Vips(local.vips, {
      clock: realClock,
      log: log.with({ part: 'vip' }),
      registry,
      dcs,
      scope,
      self: name,
      id: `${name}-agent`,
      guardWords: guardWords(),
      kernelMs,
      record,
      store: { etcd, namespace, scope },
    })
  }

  /** Takes part from now on. Throws UserError when the system lacks something. */
  async start(agent: Agent): Promise<void> {
    await this.#vips.start()
    const look = () => {
      const standing = standingOf(agent)
      for (const { name, follow, priority } of this.#vips.configs)
        this.#vips.wish(name, agentWish(follow === 'replica' ? 'replica' : 'leader', priority, standing))
    }
    this.#timer = setInterval(look, LOOK_MS)
    look()
  }

  /** Without waiting: before the server is stopped nobody may be sent to it any more. */
  dropNow(why: string): void {
    this.#vips.dropNow(why)
  }

  /** Once; later calls wait for the same stop. */
  stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#stopped ??= this.#vips.stop(Deadline.in(realClock, STOP_MS))
    return this.#stopped
  }
}

/** The leader's addresses come when its server has left recovery, not when it gets the key. */
function standingOf(agent: Agent): AgentStanding {
  const { role, state, leaseLeftMs, view, tags } = agent.status()
  const isRunning = state === 'running'
  return {
    isLeader: isRunning && leaseLeftMs > 0 && (role === 'primary' || role === 'standby_leader'),
    leader: view?.leader?.name,
    isReadable: isRunning && role === 'replica' && tags['noloadbalance'] !== true,
    state: `${role}, ${state}`,
  }
}
