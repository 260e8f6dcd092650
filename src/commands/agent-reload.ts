// SIGHUP and POST /reload: reads the node's file again and gives every part what is new. A file with a mistake changes
// nothing.

import type { Agent } from '../agent/agent.ts'
import { takeReloaded } from '../agent/reload.ts'
import type { ReloadReport } from '../api/agent-port.ts'
import type { ApiServer } from '../api/server.ts'
import { printWarning } from '../config/agent/local.ts'
import type { LocalConfig } from '../config/agent/types.ts'
import type { FailsafeClient } from '../health/failsafe.ts'
import type { PeerClient } from '../health/peer.ts'
import { readRestCredentials } from '../health/rest-client.ts'
import { messageOf } from '../platform/errors.ts'
import type { LocalServer } from '../postgres/server.ts'
import type { AgentLog } from './agent-log.ts'

export interface ReloaderParts {
  /** The configuration in force; replaced by a reload. */
  readonly node: { local: LocalConfig }
  readonly readFile: () => Promise<LocalConfig>
  readonly agentLog: AgentLog
  readonly postgres: LocalServer
  readonly peers: PeerClient
  readonly failsafe: FailsafeClient
  readonly api: () => ApiServer
  readonly agent: () => Agent
}

export class Reloader {
  readonly #parts: ReloaderParts
  #isRunning = false
  #asked = 0
  #answered = 0
  #error: string | undefined

  constructor(parts: ReloaderParts) {
    this.#parts = parts
  }

  /** Reloads soon; requests that come during a reload are answered by one more. */
  request(): void {
    this.#asked += 1
    if (!this.#isRunning) void this.#run()
  }

  /** What became of the requests so far. */
  get report(): ReloadReport {
    return { asked: this.#asked, answered: this.#answered, error: this.#error }
  }

  async #run(): Promise<void> {
    this.#isRunning = true
    while (this.#answered < this.#asked) {
      const asked = this.#asked
      this.#error = await this.#reload().then(
        () => undefined,
        (error: unknown) => messageOf(error),
      )
      if (this.#error !== undefined)
        this.#parts.agentLog.log.error(`not reloaded, the configuration stays as it was: ${this.#error}`)
      this.#answered = asked
    }
    this.#isRunning = false
  }

  async #reload(): Promise<void> {
    const { node, readFile, agentLog, postgres, peers, failsafe, api, agent } = this.#parts
    const { log } = agentLog
    const { local, later } = takeReloaded(node.local, await readFile())
    const credentials = await readRestCredentials(local.restClient)
    const nextLog = await agentLog.prepare(local.log, local.file)
    try {
      await api().reload(local.rest)
    } catch (error) {
      nextLog.drop()
      throw error
    }
    nextLog.take()
    node.local = local
    peers.setCredentials(credentials)
    failsafe.setCredentials(credentials)
    postgres.takeConfig(local)
    for (const warning of local.warnings) log.warning(printWarning(warning))
    for (const path of later) log.warning(`${path} was changed: it counts when the agent is restarted`)
    log.info('configuration read again')
    agent().reloaded()
  }
}
