// How a tool reaches another member's server. Everybody on the machine can read a process's command line, so nothing secret
// stands there: passwords come from the password file, the pass phrase of a client key from a service file.

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { toolEnvironment } from './environment.ts'
import { splitSecret } from './secret-files.ts'
import { conninfo } from './settings-text.ts'

export interface ToolConnection {
  /** For `--dbname` or `--source-server`. */
  readonly conninfo: string
  readonly env: NodeJS.ProcessEnv
}

/** Runs `work` with a way to connect whose command line and environment hold no secret; what it needed is gone afterwards. */
export async function withToolConnection<T>(
  words: Readonly<Record<string, string>>,
  work: (connection: ToolConnection) => Promise<T>,
): Promise<T> {
  const { open, serviceFile } = splitSecret(words)
  if (serviceFile === undefined) return await work({ conninfo: conninfo(open), env: toolEnvironment() })
  const directory = await mkdtemp(join(tmpdir(), 'pgherd-'))
  try {
    const file = join(directory, 'service.conf')
    await writeFile(file, serviceFile, { mode: 0o600 })
    return await work({ conninfo: conninfo(open), env: toolEnvironment({ PGSERVICEFILE: file }) })
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}
