// The table of commands, and what becomes of an error: a mistake of the user is one line, never a stack.

import { basename } from 'node:path'
import { Command, CommanderError } from 'commander'
import { HaError, messageOf, UserError } from '../platform/errors.ts'
import { FATAL_EXIT_CODE } from '../platform/lifecycle.ts'
import { version } from '../platform/version.ts'

interface Entry {
  readonly says: string
  readonly load: () => Promise<Command>
}

/** Each command is loaded only when it is called, so that a small one starts fast. */
const commands: Readonly<Record<string, Entry>> = {
  agent: {
    says: 'keep one PostgreSQL server in its cluster',
    load: async () => (await import('./agent.ts')).agentCommand(),
  },
  proxy: {
    says: 'route sessions: writes to the leader, reads to the replicas',
    load: async () => (await import('./proxy.ts')).proxyCommand(),
  },
  ctl: {
    says: 'look at a cluster and change it',
    load: async () => (await import('./ctl.ts')).ctlCommand(),
  },
  demo: {
    says: 'start a whole cluster on this machine, watch it, break it',
    load: async () => (await import('./demo.ts')).demoCommand(),
  },
  vip: {
    says: 'virtual addresses of this host',
    load: async () => (await import('./vip.ts')).vipCommand(),
  },
  check: {
    says: 'read a configuration file and say what is wrong with it',
    load: async () => (await import('./check.ts')).checkCommand(),
  },
}

/** Called by this name, the program is ctl alone. */
const CTL_NAME = 'pgherdctl'
const USAGE_EXIT_CODE = 2

/** Runs the command that `argv` names (argv[0] is node, argv[1] the program) and sets the process's exit code. */
export async function runProgram(argv: readonly string[]): Promise<void> {
  process.stdout.on('error', leaveQuietly)
  // Without a listener it opens the runtime's debugger: a port on which every local user can run code as this one.
  process.on('SIGUSR1', () => {})
  const isDebug = argv.includes('--debug') || process.env['PGHERD_DEBUG'] === '1'
  try {
    const words = argv.slice(2).filter(word => word !== '--debug')
    if (basename(argv[1] ?? '') === CTL_NAME) await runCtl(CTL_NAME, words)
    // A command of its own: by way of the table its own options would take words of its commands (`-c`, `-f`).
    else if (words[0] === 'ctl') await runCtl('pgherd ctl', words.slice(1))
    else await runPgherd(words)
  } catch (error) {
    process.exitCode = report(error, isDebug)
  }
}

/** Whoever reads the output has seen enough (`| head`): no reason for an error. */
function leaveQuietly(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error
  process.exit(0)
}

async function runCtl(name: string, words: readonly string[]): Promise<void> {
  const ctl = prepare((await import('./ctl.ts')).ctlCommand())
    .name(name)
    .version(version, '--version')
  await ctl.parseAsync([...words], { from: 'user' })
}

async function runPgherd(words: readonly string[]): Promise<void> {
  const program = new Command('pgherd')
    .description('keeps a PostgreSQL cluster writable and reachable')
    .version(version, '-V, --version')
  const word = words.find(candidate => !candidate.startsWith('-'))
  for (const [name, { says, load }] of Object.entries(commands)) {
    if (name === word) program.addCommand(await load())
    else program.command(name).description(says)
  }
  prepare(program)
  if (words.length === 0) program.help({ error: true })
  await program.parseAsync([...words], { from: 'user' })
}

/** Usage errors become exceptions with commander's message already printed, for all commands below. */
function prepare(command: Command): Command {
  command.exitOverride()
  for (const inner of command.commands) prepare(inner)
  return command
}

/** Prints what went wrong and returns the exit code. */
function report(error: unknown, isDebug: boolean): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE_EXIT_CODE
  if (isDebug && error instanceof Error) process.stderr.write(`${error.stack}\n`)
  if (error instanceof UserError) {
    process.stderr.write(`pgherd: ${error.message}\n`)
    return error.exitCode
  }
  const code = error instanceof HaError ? error.code : 'E_INTERNAL'
  const hint = isDebug ? '' : ' (PGHERD_DEBUG=1 shows where)'
  process.stderr.write(`pgherd: ${code}: ${messageOf(error)}${hint}\n`)
  return error instanceof HaError ? 1 : FATAL_EXIT_CODE
}
