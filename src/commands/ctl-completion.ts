// `completion bash|zsh`: a script that knows every command, option and fixed word. Made from the commands themselves, so
// that it cannot fall behind.

import type { Command } from 'commander'

/** The script for one shell; `program` is the name that is completed. */
export function completionScript(ctl: Command, shell: 'bash' | 'zsh', program: string): string {
  return shell === 'bash' ? bash(ctl, program) : zsh(ctl, program)
}

function bash(ctl: Command, program: string): string {
  const cases = commandsOf(ctl).map(
    command => `    ${command.name()}) words="${wordsOf(command).join(' ')}" ;;`,
  )
  return `# completion of ${program} for bash: source <(${program} completion bash)
_${program}() {
  local current=\${COMP_WORDS[COMP_CWORD]} words="" word=""
  local known=" ${commandsOf(ctl)
    .map(command => command.name())
    .join(' ')} "
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$known" in *" $word "*) break ;; esac
    word=""
  done
  case "$word" in
${cases.join('\n')}
    *) words="${[...commandsOf(ctl).map(command => command.name()), ...flagsOf(ctl)].join(' ')}" ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _${program} ${program}
`
}

function zsh(ctl: Command, program: string): string {
  const describe = (command: Command) => `'${command.name()}:${command.description().replace(/[':]/g, ' ')}'`
  const cases = commandsOf(ctl).map(
    command => `    ${command.name()}) compadd -- ${wordsOf(command).join(' ')} ;;`,
  )
  return `#compdef ${program}
# completion of ${program} for zsh: source <(${program} completion zsh)
_${program}() {
  local -a commands
  commands=(${commandsOf(ctl).map(describe).join(' ')})
  local word
  for word in \${words[2,CURRENT-1]}; do
    (( \${commands[(I)$word:*]} )) && break
    word=""
  done
  case "$word" in
${cases.join('\n')}
    *) _describe command commands; compadd -- ${flagsOf(ctl).join(' ')} ;;
  esac
  _files
}
compdef _${program} ${program}
`
}

/** What may follow a command: its options, its fixed words, and the commands behind it with theirs. */
function wordsOf(command: Command): readonly string[] {
  const fixed = command.options.flatMap(option => option.argChoices ?? [])
  const targets = command.registeredArguments.flatMap(argument => argument.argChoices ?? [])
  const inner = command.commands.length === 0 ? [] : commandsOf(command)
  const behind = inner.flatMap(one => [one.name(), ...wordsOf(one)])
  return [...new Set([...flagsOf(command), ...fixed, ...targets, ...behind])]
}

function flagsOf(command: Command): readonly string[] {
  return command.options.filter(option => !option.hidden).map(option => option.long ?? option.short ?? '')
}

/** Without those that are only there to say why not. */
function commandsOf(ctl: Command): readonly Command[] {
  const help = ctl.createHelp()
  return help.visibleCommands(ctl).filter(command => command.name() !== 'help')
}
