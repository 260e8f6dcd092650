// `pgherd ctl ...` and `pgherdctl ...`: the options, the real store, the real terminal. What commands do is in src/ctl.

import { Command, InvalidArgumentError, Option } from 'commander'
import { type CtlConfig, loadCtlConfig } from '../config/agent/ctl.ts'
import { logLevel } from '../config/agent/local.ts'
import type { CtlContext } from '../ctl/context.ts'
import { type Format, formats } from '../ctl/formats.ts'
import { history, showConfig } from '../ctl/history.ts'
import { LineTerminal } from '../ctl/line-terminal.ts'
import { list } from '../ctl/list.ts'
import { createCallMember } from '../ctl/rest.ts'
import { switchover } from '../ctl/switchover.ts'
import type { Dcs } from '../dcs/dcs.ts'
import { createEtcdDcs } from '../dcs/etcd/etcd.ts'
import { realClock } from '../platform/clock.ts'
import { messageOf, UserError } from '../platform/errors.ts'
import { type Logger, openLog } from '../platform/log.ts'
import { etcdOptions } from './etcd-options.ts'

interface GlobalOptions {
  readonly configFile?: string
  readonly dcsUrl?: string
  readonly insecure?: boolean
}

const WATCH_SECONDS = 2

/** The command with all its sub-commands, as the program's table wants it. */
export function ctlCommand(): Command {
  const ctl = new Command('ctl')
    .description('look at a cluster and change it')
    .option(
      '-c, --config-file <file>',
      "a patroni.yml; else PATRONICTL_CONFIG_FILE, else the user's patronictl.yaml",
    )
    .option('-d, --dcs-url <url>', 'the store, as etcd3://host:port/namespace; else DCS_URL')
    .addOption(new Option('--dcs <url>', 'the same as --dcs-url').hideHelp())
    .option('-k, --insecure', 'do not verify certificates of REST servers')
  addLists(ctl)
  addSwitchover(ctl)
  addFailover(ctl)
  ctl
    .command('history')
    .description('the changes of the timeline')
    .argument('[cluster]', 'default: the configured scope')
    .addOption(formatOption())
    .action((name: string | undefined, options: { readonly format: Format }) =>
      withContext(ctl, context => history(context, name, options.format)),
    )
  ctl
    .command('show-config')
    .description("the cluster's own configuration")
    .argument('[cluster]', 'default: the configured scope')
    .action((name: string | undefined) => withContext(ctl, context => showConfig(context, name)))
  return ctl
}

interface ListFlags {
  readonly format?: Format
  readonly extended?: boolean
  readonly timestamp?: boolean
  readonly W?: boolean
  readonly watch?: number
}

function addLists(ctl: Command): void {
  const run = (names: readonly string[], flags: ListFlags, topology: boolean) =>
    withContext(ctl, context =>
      list(context, names, {
        topology,
        format: flags.format ?? 'pretty',
        extended: flags.extended ?? false,
        timestamp: flags.timestamp ?? false,
        everySeconds: flags.watch ?? (flags.W === true ? WATCH_SECONDS : undefined),
      }),
    )
  ctl
    .command('list')
    .description('the members of a cluster')
    .argument('[clusters...]', 'default: the configured scope')
    .option('-e, --extended', 'all columns')
    .option('-t, --timestamp', 'print the time first')
    .addOption(formatOption())
    .option('-W', 'print again every two seconds')
    .option('-w, --watch <seconds>', 'print again every so often', readSeconds)
    .action((names: readonly string[], flags: ListFlags) => run(names, flags, false))
  ctl
    .command('topology')
    .description('the members as a tree: who replicates from whom')
    .argument('[clusters...]', 'default: the configured scope')
    .option('-W', 'print again every two seconds')
    .option('-w, --watch <seconds>', 'print again every so often', readSeconds)
    .action((names: readonly string[], flags: ListFlags) => run(names, flags, true))
}

interface SwitchoverFlags {
  readonly leader?: string
  readonly primary?: string
  readonly master?: string
  readonly candidate?: string
  readonly scheduled?: string
  readonly force?: boolean
}

function addSwitchover(ctl: Command): void {
  ctl
    .command('switchover')
    .description('hand the leadership over to another member, in order')
    .argument('[cluster]', 'default: the configured scope')
    .option('--leader <name>', 'the leader of now')
    .addOption(new Option('--primary <name>', 'the same as --leader').hideHelp())
    .addOption(new Option('--master <name>', 'the same as --leader').hideHelp())
    .option('--candidate <name>', 'who shall lead; default: the best one')
    .option('--scheduled <time>', 'when, as 2030-01-01T10:00+02:00, or now')
    .option('--force', 'ask nothing')
    .action((name: string | undefined, flags: SwitchoverFlags) =>
      withContext(ctl, context =>
        switchover(context, name, {
          action: 'switchover',
          leader: flags.leader ?? flags.primary ?? flags.master,
          candidate: flags.candidate,
          scheduled: flags.scheduled,
          force: flags.force ?? false,
        }),
      ),
    )
}

function addFailover(ctl: Command): void {
  ctl
    .command('failover')
    .description('make a member lead although the leader may not be healthy')
    .argument('[cluster]', 'default: the configured scope')
    .option('--candidate <name>', 'who shall lead')
    .option('--force', 'ask nothing')
    .action((name: string | undefined, { candidate, force }: SwitchoverFlags) =>
      withContext(ctl, context =>
        switchover(context, name, {
          action: 'failover',
          leader: undefined,
          candidate,
          scheduled: undefined,
          force: force ?? false,
        }),
      ),
    )
}

function formatOption(): Option {
  return new Option('-f, --format <format>', 'of the output').choices(formats).default('pretty')
}

function readSeconds(text: string): number {
  const seconds = Number(text)
  if (!(seconds > 0)) throw new InvalidArgumentError('Expected a number of seconds.')
  return seconds
}

/**
 * Builds the real parts, runs the command, and closes them whatever happened. What goes wrong is `Error: ...` on
 * standard error and exit code 1, as scripts around patronictl expect.
 */
async function withContext(ctl: Command, run: (context: CtlContext) => Promise<void>): Promise<void> {
  const terminal = new LineTerminal(process.stdin, process.stdout, process.stderr)
  const interrupted = new AbortController()
  process.once('SIGINT', () => {
    interrupted.abort(new UserError('Aborted!'))
    terminal.close()
  })
  const stores = new Map<string, Dcs>()
  try {
    const logger = openCtlLog()
    const options = ctl.opts<GlobalOptions & { readonly dcs?: string }>()
    const sources = { file: options.configFile, dcsUrl: options.dcsUrl ?? options.dcs }
    const config = await loadCtlConfig(sources, process.env)
    const openDcs = await storeOpener(config, logger, stores)
    await run({
      clock: realClock,
      terminal,
      defaultScope: config.scope,
      openDcs,
      callMember: createCallMember({
        authentication: config.authentication,
        insecure: options.insecure ?? false,
        signal: interrupted.signal,
      }),
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
  stores: Map<string, Dcs>,
): Promise<(scope: string) => Dcs> {
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
