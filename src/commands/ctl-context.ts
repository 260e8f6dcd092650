// What a ctl command runs in: the real store, the real terminal, the REST credentials; and what becomes of an error.

import type { Command } from 'commander'
import { type CtlConfig, loadCtlConfig } from '../config/agent/ctl.ts'
import { logLevel } from '../config/agent/log.ts'
import type { StoreContext } from '../ctl/dcs.ts'
import { LineTerminal } from '../ctl/line-terminal.ts'
import { createCallMember } from '../ctl/rest.ts'
import { createEtcdDcs, type EtcdDcs } from '../dcs/etcd/etcd.ts'
import { readRestCredentials } from '../health/rest-client.ts'
import { realClock } from '../platform/clock.ts'
import { messageOf, UserError } from '../platform/errors.ts'
import { type Logger, openLog } from '../platform/log.ts'
import { etcdOptions } from './etcd-options.ts'

interface GlobalOptions {
  readonly configFile?: string
  readonly dcsUrl?: string
  readonly dcs?: string
  readonly insecure?: boolean
  readonly strict?: boolean
}

const REFUSED_EXIT_CODE = 1
/** Stands for a store that is never opened. */
const NO_STORE = 'etcd3://127.0.0.1:2379'

/** What a command does without. */
export interface ContextNeeds {
  /** It asks no store, so that no configuration need name one. */
  readonly isStoreless?: boolean
}

/**
 * Builds the real parts, runs the command, and closes them whatever happened. What goes wrong is `Error: ...` on
 * standard error and exit code 1, as scripts around patronictl expect. With --strict a refusal of the cluster is 1, too.
 */
export async function withContext(
  ctl: Command,
  run: (context: StoreContext) => Promise<void>,
  { isStoreless = false }: ContextNeeds = {},
): Promise<void> {
  const terminal = new LineTerminal(process.stdin, process.stdout, process.stderr)
  const interrupted = new AbortController()
  process.once('SIGINT', () => {
    interrupted.abort(new UserError('Aborted!'))
    terminal.close()
  })
  const stores = new Map<string, EtcdDcs>()
  try {
    const logger = openCtlLog()
    const options = ctl.opts<GlobalOptions>()
    const dcsUrl = options.dcsUrl ?? options.dcs ?? (isStoreless ? NO_STORE : undefined)
    const sources = { file: options.configFile, dcsUrl }
    const config = await loadCtlConfig(sources, process.env)
    const { restClient } = config
    const credentials = await readRestCredentials(
      options.insecure === true ? { ...restClient, insecure: true } : restClient,
    )
    const openDcs = await storeOpener(config, logger, stores)
    await run({
      clock: realClock,
      terminal,
      defaultScope: config.scope,
      openDcs,
      inspectStore: (scope, by) => openDcs(scope).inspect(by),
      callMember: createCallMember({ credentials, signal: interrupted.signal }),
      noteRefusal: () => {
        if (options.strict === true) process.exitCode = REFUSED_EXIT_CODE
      },
      signal: interrupted.signal,
    })
  } catch (error) {
    reportError(error)
  } finally {
    terminal.close()
    for (const store of stores.values()) await store.close()
  }
}

/** Opens the store of a scope once. */
async function storeOpener(
  config: CtlConfig,
  logger: Logger,
  stores: Map<string, EtcdDcs>,
): Promise<(scope: string) => EtcdDcs> {
  const options = await etcdOptions({ etcd: config.etcd, namespace: config.namespace, logger })
  return scope => {
    const known = stores.get(scope)
    if (known !== undefined) return known
    const store = createEtcdDcs({ ...options, scope })
    stores.set(scope, store)
    return store
  }
}

function openCtlLog(): Logger {
  const { LOGLEVEL, PATRONI_LOGLEVEL, PATRONI_LOG_LEVEL } = process.env
  const name = PATRONI_LOG_LEVEL ?? PATRONI_LOGLEVEL ?? LOGLEVEL ?? 'WARNING'
  return openLog({ type: 'plain', level: logLevel(name) ?? 'warning', fd: 2 })
}

function reportError(error: unknown): void {
  if (!(error instanceof UserError)) throw error
  const text = messageOf(error)
  process.stderr.write(text === 'Aborted!' ? `${text}\n` : `Error: ${text}\n`)
  process.exitCode = error.exitCode
}
