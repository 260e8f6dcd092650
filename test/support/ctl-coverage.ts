// Which of patronictl's commands and options the table of ctl has a row for, and where the others are tested instead.

import { ctlRows } from './ctl-rows.ts'

/** A test that shows what no row can. */
interface Proof {
  readonly why: string
  readonly file: string
  readonly test: string
}

/** Options that no row can have. */
export const OPTIONS_ELSEWHERE: Readonly<Record<string, Proof>> = {
  '-W': {
    why: 'repeats until it is interrupted',
    file: 'test/unit/ctl/repeats.test.ts',
    test: 'list -w clears the screen and prints again after that time, until it is interrupted',
  },
  '-w': {
    why: 'as -W',
    file: 'test/unit/ctl/repeats.test.ts',
    test: 'topology -w clears the screen and prints again after that time, until it is interrupted',
  },
  '--any': {
    why: 'chooses by chance',
    file: 'test/unit/ctl/orders.test.ts',
    test: 'only one member is restarted with --any',
  },
  '--from-leader': {
    why: 'since 4.1',
    file: 'test/unit/ctl/orders.test.ts',
    test: 'reinit asks which member, and when an action is under way whether to end it',
  },
  '--password': {
    why: 'asks on a terminal',
    file: 'test/unit/ctl/line-terminal.test.ts',
    test: 'a password is asked for without showing it, and a wrong key is taken back',
  },
  '--dcs-url': {
    why: '3.0.2 knows no etcd3 there',
    file: 'test/interop/ctl-patronictl.test.ts',
    test: 'ours needs no file: the URL, DCS_URL or the environment are enough',
  },
  '--group': {
    why: 'of clusters with shards; ours takes it and does nothing',
    file: 'test/unit/commands/ctl-options.test.ts',
    test: 'every command of patronictl takes --group',
  },
}

/** Commands that no row can run: they make two clusters out of one, or one out of two. */
export const COMMANDS_ELSEWHERE: Readonly<Record<string, Proof>> = {
  'demote-cluster': {
    why: 'since 4.1',
    file: 'test/integration/standby-cluster.long.test.ts',
    test: 'the sites change places: the main cluster is demoted, the other one promoted, nothing is lost or rewound',
  },
  'promote-cluster': {
    why: 'since 4.1',
    file: 'test/integration/agent-standby.long.test.ts',
    test: 'promote-cluster makes the standby leader a primary, and its members follow it on the new timeline',
  },
}

/** Names of one option; a row for any of them counts. */
export type OptionNames = readonly string[]

/** What of this command has no row: the command itself, or some of its options. */
export function gaps(command: string, options: readonly OptionNames[]): readonly string[] {
  if (command in COMMANDS_ELSEWHERE) return []
  // Options before the command belong to every row.
  const rows = command === '' ? ctlRows : ctlRows.filter(({ words }) => words.includes(command))
  if (rows.length === 0) return [command]
  return options
    .filter(
      names => !names.some(name => name in OPTIONS_ELSEWHERE || name === '-c' || hasRow(rows, command, name)),
    )
    .map(names => `${command} ${names.join(', ')}`)
}

/** `-d` before the command is another option than behind it. */
function hasRow(rows: typeof ctlRows, command: string, name: string): boolean {
  return rows.some(({ words }) => {
    const at = command === '' ? words.findIndex(word => /^[a-z]/.test(word)) : words.indexOf(command)
    const part = command === '' ? words.slice(0, at) : words.slice(at)
    return part.includes(name)
  })
}
