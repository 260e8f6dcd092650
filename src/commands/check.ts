// `pgherd check FILE`: reads a configuration as the agent would, and says what is wrong with it. Touches nothing else.

import { Command } from 'commander'
import { loadLocalConfig, printWarning } from '../config/agent/local.ts'

/** The command as the program's table wants it. */
export function checkCommand(): Command {
  return new Command('check')
    .description(
      'read a configuration file and say what is wrong with it; exit code 1 when it cannot be used',
    )
    .argument('[FILE]', 'patroni.yml, or a directory of them; PATRONI_* variables override')
    .action(async (file: string | undefined) => {
      process.stdout.write(await check(file, process.env))
    })
}

/** All warnings, one a line, and a last line that names the member. Throws UserError for what cannot be used. */
export async function check(file: string | undefined, env: NodeJS.ProcessEnv): Promise<string> {
  const local = await loadLocalConfig(file, env)
  const lines = [
    ...local.warnings.map(printWarning),
    `${local.file}: can be used: member ${local.name} of ${local.scope}, etcd at ${local.etcd.endpoints.join(', ')}`,
  ]
  return `${lines.join('\n')}\n`
}
