// `pgherd ctl ...` and `pgherdctl ...`: the options, the real store, the real terminal. What commands do is in src/ctl.

import { Argument, Command, InvalidArgumentError, Option } from 'commander'
import { type Role, roles } from '../ctl/choose.ts'
import { dcs } from '../ctl/dcs.ts'
import { events } from '../ctl/events.ts'
import { explain } from '../ctl/explain.ts'
import { type Format, formats } from '../ctl/formats.ts'
import { history, showConfig } from '../ctl/history.ts'
import { list } from '../ctl/list.ts'
import { dsn, query } from '../ctl/query.ts'
import { switchover } from '../ctl/switchover.ts'
import { top } from '../ctl/top.ts'
import { version as printVersion, versionLine } from '../ctl/version.ts'
import { version } from '../platform/version.ts'
import { addChanges, groupOption } from './ctl-changes.ts'
import { completionScript } from './ctl-completion.ts'
import { withContext } from './ctl-context.ts'
import { addProxy } from './ctl-proxy.ts'

const WATCH_SECONDS = 2

/** The command with all its sub-commands, as the program's table wants it. */
export function ctlCommand(): Command {
  const ctl = new Command('ctl')
    .description('look at a cluster and change it')
    // `-c` and `-d` mean something else behind `query`.
    .enablePositionalOptions()
    .option(
      '-c, --config-file <file>',
      "a patroni.yml; else PATRONICTL_CONFIG_FILE, else the user's patronictl.yaml",
    )
    .option('-d, --dcs-url <url>', 'the store, as etcd3://host:port/namespace; else DCS_URL')
    .addOption(new Option('--dcs <url>', 'the same as --dcs-url').hideHelp())
    .option('-k, --insecure', 'do not verify certificates of REST servers')
    .option('--strict', 'exit code 1 when the cluster refused')
  addLists(ctl)
  addSwitchover(ctl)
  addFailover(ctl)
  addChanges(ctl)
  addHistory(ctl)
  addQueries(ctl)
  addLooks(ctl)
  addRefusals(ctl)
  return ctl
}

/** Words that people type because patronictl has or had them. */
const REFUSED: Readonly<Record<string, string>> = {
  configure: 'write a patroni.yml, or give -d URL: this command is gone from patronictl, too',
  scaffold: 'this command is gone from patronictl, too: the first agent creates the keys of its cluster',
}

function addRefusals(ctl: Command): void {
  for (const [word, says] of Object.entries(REFUSED)) {
    ctl
      .command(word, { hidden: true })
      .allowUnknownOption()
      .allowExcessArguments()
      .action((...given: readonly unknown[]) => {
        const command = given.at(-1)
        if (command instanceof Command) command.error(`error: ${word}: ${says}`)
      })
  }
}

function addHistory(ctl: Command): void {
  ctl
    .command('history')
    .description('the changes of the timeline')
    .argument('[cluster]', 'default: the configured scope')
    .addOption(groupOption())
    .addOption(formatOption())
    .action((name: string | undefined, options: { readonly format: Format }) =>
      withContext(ctl, context => history(context, name, options.format)),
    )
  ctl
    .command('dcs')
    .description('the store: its endpoints, how fast they answer, how long the leases still run')
    .argument('[cluster]', 'default: the configured scope')
    .addOption(groupOption())
    .addOption(formatOption())
    .action((name: string | undefined, options: { readonly format: Format }) =>
      withContext(ctl, context => dcs(context, name, options.format)),
    )
  ctl
    .command('show-config')
    .description("the cluster's own configuration")
    .argument('[cluster]', 'default: the configured scope')
    .addOption(groupOption())
    .action((name: string | undefined) => withContext(ctl, context => showConfig(context, name)))
}

interface QueryFlags {
  readonly format: Format
  readonly file?: string
  readonly command?: string
  readonly username?: string
  readonly dbname?: string
  readonly password?: boolean
  readonly role?: Role
  readonly member?: string
  readonly W?: boolean
  readonly watch?: number
  readonly delimiter: string
}

function addQueries(ctl: Command): void {
  const whichRole = () => new Option('-r, --role <role>', 'of the member').choices(roles)
  ctl
    .command('dsn')
    .description('how to reach a member: host=... port=...')
    .argument('[cluster]', 'default: the configured scope')
    .addOption(whichRole())
    .option('-m, --member <name>', 'this member')
    .addOption(groupOption())
    .action((name: string | undefined, { role, member }: QueryFlags) =>
      withContext(ctl, context => dsn(context, name, { role, member })),
    )
  ctl
    .command('query')
    .description('run SQL on a member')
    .argument('[cluster]', 'default: the configured scope')
    .addOption(new Option('--format <format>', 'of the output').choices(formats).default('tsv'))
    .option('-f, --file <file>', 'run the SQL of this file; - is the standard input')
    .option('-c, --command <sql>', 'run this SQL')
    .option('-U, --username <name>', 'of the database user')
    .option('-d, --dbname <name>', 'of the database')
    .option('--password', 'ask for the password')
    .addOption(whichRole())
    .option('-m, --member <name>', 'this member')
    .option('-W', 'run again every two seconds')
    .option('-w, --watch <seconds>', 'run again every so often', readSeconds)
    .option('--delimiter <text>', 'between the columns of tsv', '\t')
    .addOption(groupOption())
    .action((name: string | undefined, flags: QueryFlags) =>
      withContext(ctl, context =>
        query(context, name, {
          role: flags.role,
          member: flags.member,
          command: flags.command,
          file: flags.file,
          format: flags.format,
          delimiter: flags.delimiter,
          username: flags.username,
          database: flags.dbname,
          askPassword: flags.password ?? false,
          everySeconds: flags.watch ?? (flags.W === true ? WATCH_SECONDS : undefined),
        }),
      ),
    )
}

interface LookFlags {
  readonly format: Format
  readonly count: number
  readonly follow?: boolean
  readonly watch: number
  readonly frames?: number
}

function addLooks(ctl: Command): void {
  ctl
    .command('version')
    .description('of this program, and of what members run')
    .argument('[cluster]', 'also ask its members')
    .argument('[members...]', 'only these')
    .addOption(groupOption())
    .action(async (scope: string | undefined, names: readonly string[]) => {
      // Our own version needs no cluster, and no configuration that names one.
      if (scope === undefined) process.stdout.write(versionLine(version))
      else await withContext(ctl, context => printVersion(context, version, scope, names))
    })
  ctl
    .command('explain')
    .description('who would take over, what would be lost, and why things are as they are')
    .argument('[cluster]', 'default: the configured scope')
    .action((name: string | undefined) => withContext(ctl, context => explain(context, name)))
  ctl
    .command('events')
    .description('what happened, told by members and proxies')
    .argument('[cluster]', 'default: the configured scope')
    .option('-n, --count <number>', 'how many', readCount, 50)
    .option('--follow', 'go on and print what comes')
    .addOption(formatOption())
    .action((name: string | undefined, { count, format, follow }: LookFlags) =>
      withContext(ctl, context => events(context, name, { count, format, follow: follow ?? false })),
    )
  addProxy(ctl)
  ctl
    .command('top')
    .description('the cluster live')
    .argument('[cluster]', 'default: the configured scope')
    .option('-w, --watch <seconds>', 'between two looks', readSeconds, 1)
    .option('--frames <number>', 'end after this many', readCount)
    .action((name: string | undefined, { watch, frames }: LookFlags) =>
      withContext(ctl, context => top(context, name, { everySeconds: watch, frames })),
    )
  ctl
    .command('completion')
    .description('a script that completes words in your shell')
    .addArgument(new Argument('<shell>').choices(['bash', 'zsh']))
    .action((shell: 'bash' | 'zsh') => {
      process.stdout.write(completionScript(ctl, shell, 'pgherdctl'))
    })
}

function readCount(text: string): number {
  const count = Number(text)
  if (!Number.isSafeInteger(count) || count < 1) throw new InvalidArgumentError('Expected a number from 1.')
  return count
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
    .addOption(groupOption())
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
    .addOption(groupOption())
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
  readonly wait?: boolean
}

function addSwitchover(ctl: Command): void {
  ctl
    .command('switchover')
    .description('hand the leadership over to another member, in order')
    .argument('[cluster]', 'default: the configured scope')
    .addOption(groupOption())
    .option('--leader <name>', 'the leader of now')
    .addOption(new Option('--primary <name>', 'the same as --leader').hideHelp())
    .addOption(new Option('--master <name>', 'the same as --leader').hideHelp())
    .option('--candidate <name>', 'who shall lead; default: the best one')
    .option('--scheduled <time>', 'when, as 2030-01-01T10:00+02:00, or now')
    .option('--wait', 'until every member follows the new leader')
    .option('--force', 'ask nothing')
    .action((name: string | undefined, flags: SwitchoverFlags) =>
      withContext(ctl, context =>
        switchover(context, name, {
          action: 'switchover',
          leader: flags.leader ?? flags.primary ?? flags.master,
          candidate: flags.candidate,
          scheduled: flags.scheduled,
          force: flags.force ?? false,
          wait: flags.wait ?? false,
        }),
      ),
    )
}

function addFailover(ctl: Command): void {
  ctl
    .command('failover')
    .description('make a member lead although the leader may not be healthy')
    .argument('[cluster]', 'default: the configured scope')
    .addOption(groupOption())
    .option('--candidate <name>', 'who shall lead')
    .option('--wait', 'until every member follows the new leader')
    .option('--force', 'ask nothing')
    .action((name: string | undefined, { candidate, force, wait }: SwitchoverFlags) =>
      withContext(ctl, context =>
        switchover(context, name, {
          action: 'failover',
          leader: undefined,
          candidate,
          scheduled: undefined,
          force: force ?? false,
          wait: wait ?? false,
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
