// The ctl commands that change something: their words and options. What they do is in src/ctl.

import { Argument, type Command, Option } from 'commander'
import { roles } from '../ctl/choose.ts'
import { demoteCluster, promoteCluster } from '../ctl/cluster-role.ts'
import { editConfig } from '../ctl/edit-config.ts'
import { type Format, formats } from '../ctl/formats.ts'
import { setPause } from '../ctl/pause.ts'
import { remove } from '../ctl/remove.ts'
import { flushRestart, flushSwitchover, reinit, reload, restart } from '../ctl/restart.ts'
import { withContext } from './ctl-context.ts'
import { programs } from './ctl-programs.ts'

type Role = (typeof roles)[number]

interface MemberFlags {
  readonly role: Role
  readonly force?: boolean
  readonly wait?: boolean
}

/** Adds them all. */
export function addChanges(ctl: Command): void {
  addEditConfig(ctl)
  addPause(ctl)
  addRestart(ctl)
  addReload(ctl)
  addReinit(ctl)
  addFlush(ctl)
  addClusterRole(ctl)
  ctl
    .command('remove')
    .description('delete everything that etcd knows of a cluster')
    .argument('<cluster>', 'must be given')
    .addOption(groupOption())
    .addOption(new Option('-f, --format <format>', 'of the table').choices(formats).default('pretty'))
    .action((scope: string, { format }: { readonly format: Format }) =>
      withContext(ctl, context => remove(context, scope, format)),
    )
}

/** Clusters of other kinds have groups; here the option is taken and means nothing. */
export function groupOption(): Option {
  return new Option('--group <number>', 'of a Citus cluster; without effect here').hideHelp()
}

/** Which members. */
export function roleOption(says: string): Option {
  return new Option('-r, --role <role>', says).choices(roles).default('any')
}

interface EditFlags {
  readonly quiet?: boolean
  readonly set: readonly string[]
  readonly pg: readonly string[]
  readonly apply?: string
  readonly replace?: string
  readonly force?: boolean
  readonly wait?: boolean
}

function gather(value: string, all: readonly string[]): readonly string[] {
  return [...all, value]
}

function addEditConfig(ctl: Command): void {
  ctl
    .command('edit-config')
    .description("change the cluster's own configuration")
    .argument('[cluster]', 'default: the configured scope')
    .addOption(groupOption())
    .option('-q, --quiet', 'do not show what changes')
    .option('-s, --set <key=value>', 'one setting by its dotted path; null removes it', gather, [])
    .option('-p, --pg <name=value>', 'one PostgreSQL parameter', gather, [])
    .option('--apply <file>', 'lay a file over the configuration; - is the standard input')
    .option('--replace <file>', 'put a file in its place; - is the standard input')
    .option('--wait', 'until every member works by it')
    .option('--force', 'ask nothing')
    .action((name: string | undefined, flags: EditFlags) =>
      withContext(ctl, context =>
        editConfig(context, programs, name, {
          quiet: flags.quiet ?? false,
          settings: flags.set,
          parameters: flags.pg,
          apply: flags.apply,
          replace: flags.replace,
          force: flags.force ?? false,
          wait: flags.wait ?? false,
        }),
      ),
    )
}

function addPause(ctl: Command): void {
  for (const word of ['pause', 'resume'] as const) {
    ctl
      .command(word)
      .description(word === 'pause' ? 'stop electing, starting and stopping' : 'end a pause')
      .argument('[cluster]', 'default: the configured scope')
      .addOption(groupOption())
      .option('--wait', 'until every member says so')
      .action((name: string | undefined, { wait }: { readonly wait?: boolean }) =>
        withContext(ctl, context => setPause(context, name, word === 'pause', wait ?? false)),
      )
  }
}

interface DemoteFlags {
  readonly host?: string
  readonly port?: string
  readonly restoreCommand?: string
  readonly primarySlotName?: string
  readonly force?: boolean
}

function addClusterRole(ctl: Command): void {
  ctl
    .command('demote-cluster')
    .description('make this cluster follow another one')
    .argument('[cluster]', 'default: the configured scope')
    .option('--host <host>', 'of the other cluster, or several between commas')
    .option('--port <port>', 'of its servers')
    .option('--restore-command <command>', 'how its WAL is fetched from an archive')
    .option('--primary-slot-name <slot>', 'the slot that it keeps for us')
    .option('--force', 'ask nothing')
    .action((name: string | undefined, flags: DemoteFlags) =>
      withContext(ctl, context =>
        demoteCluster(context, name, {
          host: flags.host,
          port: flags.port,
          restoreCommand: flags.restoreCommand,
          primarySlotName: flags.primarySlotName,
          force: flags.force ?? false,
        }),
      ),
    )
  ctl
    .command('promote-cluster')
    .description('make a standby cluster one that takes writes')
    .argument('[cluster]', 'default: the configured scope')
    .option('--force', 'ask nothing')
    .action((name: string | undefined, { force }: { readonly force?: boolean }) =>
      withContext(ctl, context => promoteCluster(context, name, { force: force ?? false })),
    )
}

interface RestartFlags extends MemberFlags {
  readonly any?: boolean
  readonly scheduled?: string
  readonly pgVersion?: string
  readonly pending?: boolean
  readonly timeout?: string
}

function addRestart(ctl: Command): void {
  ctl
    .command('restart')
    .description('restart PostgreSQL on members')
    .argument('<cluster>', 'must be given')
    .argument('[members...]', 'default: all of the role')
    .addOption(groupOption())
    .addOption(roleOption('only members with this role'))
    .option('--any', 'a single one of them')
    .option('--scheduled <time>', 'when, as 2030-01-01T10:00+02:00, or now')
    .option('--pg-version <version>', 'only servers older than this')
    .option('--pending', 'only where a changed setting waits for it')
    .option('--timeout <seconds>', 'how long it may take; then a leader hands over')
    .option('--wait', 'until all are running again')
    .option('--force', 'ask nothing')
    .action((scope: string, names: readonly string[], flags: RestartFlags) =>
      withContext(ctl, context =>
        restart(context, {
          scope,
          names,
          role: flags.role,
          force: flags.force ?? false,
          any: flags.any ?? false,
          scheduled: flags.scheduled,
          olderThan: flags.pgVersion,
          pendingOnly: flags.pending ?? false,
          timeout: flags.timeout,
          wait: flags.wait ?? false,
        }),
      ),
    )
}

function addReload(ctl: Command): void {
  ctl
    .command('reload')
    .description('make members read their files again')
    .argument('<cluster>', 'must be given')
    .argument('[members...]', 'default: all of the role')
    .addOption(groupOption())
    .addOption(roleOption('only members with this role'))
    .option('--wait', 'until the members have read them')
    .option('--force', 'ask nothing')
    .action((scope: string, names: readonly string[], { role, force, wait }: MemberFlags) =>
      withContext(ctl, context =>
        reload(context, { scope, names, role, force: force ?? false, wait: wait ?? false }),
      ),
    )
}

function addReinit(ctl: Command): void {
  ctl
    .command('reinit')
    .description("throw a replica's data away and copy the leader")
    .argument('<cluster>', 'must be given')
    .argument('[members...]', 'which ones')
    .addOption(groupOption())
    .option('--wait', 'until the copies are made')
    .option('--from-leader', 'copy the leader and nobody else')
    .option('--force', 'ask nothing, and end what is under way')
    .action(
      (
        scope: string,
        names: readonly string[],
        flags: { readonly wait?: boolean; readonly fromLeader?: boolean; readonly force?: boolean },
      ) =>
        withContext(ctl, context =>
          reinit(context, {
            scope,
            names,
            force: flags.force ?? false,
            wait: flags.wait ?? false,
            fromLeader: flags.fromLeader ?? false,
          }),
        ),
    )
}

/** The target is the last word; everything between it and the cluster names members. */
function addFlush(ctl: Command): void {
  ctl
    .command('flush')
    .description('take a scheduled restart or switchover back')
    .argument('<cluster>', 'must be given')
    .addArgument(new Argument('<members-and-target...>', 'members, then: restart or switchover'))
    .addOption(groupOption())
    .addOption(roleOption('only members with this role'))
    .option('--force', 'ask nothing')
    .action((scope: string, words: readonly string[], { role, force }: MemberFlags, command: Command) => {
      const target = words.at(-1)
      if (target !== 'restart' && target !== 'switchover') {
        command.error(`error: the last word must be restart or switchover, not ${target ?? 'nothing'}`)
      }
      return withContext(ctl, context =>
        target === 'switchover'
          ? flushSwitchover(context, scope)
          : flushRestart(context, { scope, names: words.slice(0, -1), role, force: force ?? false }),
      )
    })
}
