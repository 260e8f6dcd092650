// SIGHUP and POST /reload: reads the node's file again and gives every part what is new. A file with a mistake changes
// nothing.

import type { Agent } from '../agent/agent.ts'
import { takeReloaded } from '../agent/reload.ts'
import type { ApiServer } from '../api/server.ts'
import { printWarning } from '../config/agent/local.ts'
import type { LocalConfig } from '../config/agent/types.ts'
import type { FailsafeClient } from '../health/failsafe.ts'
import type { PeerClient } from '../health/peer.ts'
import { readRestCredentials } from '../health/rest-client.ts'
import { messageOf } from '../platform/errors.ts'
import type { LogLevel, ProcessLog } from '../platform/log.ts'
import type { LocalServer } from '../postgres/server.ts'

export interface ReloaderParts {
  /** The configuration in force; replaced by a reload. */
  readonly node: { local: LocalConfig }
  readonly readFile: () => Promise<LocalConfig>
  readonly log: ProcessLog
  readonly postgres: LocalServer
  readonly peers: PeerClient
  readonly failsafe: FailsafeClient
  readonly api: () => ApiServer
  readonly agent: () => Agent
}

export class Reloader {
  readonly #parts: ReloaderParts
  #isRunning = false
  #isAsked = false

  constructor(parts: ReloaderParts) {
    this.#parts = parts
  }

  /** Reloads soon; requests that come during a reload are answered by one more. */
  request(): void {
    this.#isAsked = true
    if (!this.#isRunning) void this.#run()
  }

  async #run(): Promise<void> {
    this.#isRunning = true
    while (this.#isAsked) {
      this.#isAsked = false
      await this.#reload().catch((error: unknown) =>
        this.#parts.log.error(`not reloaded, the configuration stays as it was: ${messageOf(error)}`),
      )
    }
    this.#isRunning = false
  }

  async #reload(): Promise<void> {
    const { node, readFile, log, postgres, peers, failsafe, api, agent } = this.#parts
    const { local, later } = takeReloaded(node.local, await readFile())
    const credentials = await readRestCredentials(local.restClient)
    await api().reload(local.rest)
    node.local = local
    peers.setCredentials(credentials)
    failsafe.setCredentials(credentials)
    postgres.takeConfig(local)
    log.setLevel(local.log.level as LogLevel)
    for (const warning of local.warnings) log.warning(printWarning(warning))
    for (const path of later) log.warning(`${path} was changed: it counts when the agent is restarted`)
    log.info('configuration read again')
    agent().reloaded()
  }
}
