// What patronictl says of itself by --help: its commands, their options with all their names, the words that an option takes.

import { runProgram } from './run-program.ts'

export interface HelpOption {
  /** `-r`, `--role`. */
  readonly names: readonly string[]
  /** The words that it takes; empty when it takes any. */
  readonly choices: readonly string[]
}

/** A failover takes no leader since 4.0: with one it would be a switchover. */
const GONE: Readonly<Record<string, string>> = { failover: '--leader' }

export interface HelpCommand {
  readonly name: string
  readonly options: readonly HelpOption[]
}

/** Everything that Debian's patronictl offers and that is not gone since; the first one, without a name, has the options before the command. */
export async function patronictlHelp(): Promise<readonly HelpCommand[]> {
  const own = await help([])
  const commands: HelpCommand[] = [{ name: '', options: optionsOf(own) }]
  for (const [, name = ''] of own.slice(own.indexOf('\nCommands:')).matchAll(/^ {2}(\S+) {2}/gm))
    commands.push({
      name,
      options: optionsOf(await help([name])).filter(({ names }) => !names.includes(GONE[name] ?? '')),
    })
  return commands
}

async function help(words: readonly string[]): Promise<string> {
  const ran = await runProgram(['patronictl', ...words, '--help'])
  if (ran.code !== 0) throw new Error(`patronictl ${words.join(' ')} --help: ${ran.stderr}`)
  return ran.stdout
}

/** A line that begins with a dash names an option; what it says of it stands behind two spaces, or on lines of its own. */
function optionsOf(text: string): readonly HelpOption[] {
  return [...text.matchAll(/^ {2}(-\S*(?: \S+)*)/gm)].flatMap(([, shown = '']) => {
    const names: readonly string[] = shown.match(/(?<=^|[ ,])--?[A-Za-z][\w-]*/g) ?? []
    const choices: readonly string[] = /\[([\w|-]+)\]/.exec(shown)?.[1]?.split('|') ?? []
    return names.includes('--help') ? [] : [{ names, choices }]
  })
}
