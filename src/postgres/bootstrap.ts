// Makes a new cluster: initdb, configuration, first start, roles, the operator's own script.

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ChildOptions, runChild } from '../platform/child.ts'
import { Deadline } from '../platform/deadline.ts'
import { HaError, UserError } from '../platform/errors.ts'
import { commandWords } from './command-words.ts'
import type { Context } from './context.ts'
import { recoverPrivately, runBootstrapMethod } from './custom-bootstrap.ts'
import { serverEnvironment, toolEnvironment } from './environment.ts'
import type { Lifecycle } from './lifecycle.ts'
import { createRoles } from './roles.ts'
import { conninfo } from './settings-text.ts'
import { lastWords, startServer } from './startup.ts'
import { INITDB_REFUSED, initdbArguments, optionList, splitRefused } from './tool-options.ts'

/** A bootstrap is ended by its signal; this only bounds a wait that nobody aborts. */
const BOOTSTRAP_MS = 3_600_000
const FILES_MS = 30_000

/**
 * Ends with a running primary; returns its system identifier. Rejects with UserError for a mistake in the configuration,
 * else with HaError. What initdb made so far stays where it is: the caller sets it aside.
 */
export async function bootstrap(
  context: Context,
  lifecycle: Lifecycle,
  signal: AbortSignal,
): Promise<string> {
  const { clock, config } = context
  const files = Deadline.in(clock, FILES_MS)
  await makeRoom(context, files)
  await context.writePassfile(files)
  const { method } = config.bootstrap
  if (method === undefined) await runInitdb(context, signal)
  else {
    await runBootstrapMethod(context, method, signal)
    await recoverPrivately(context, lifecycle, method, signal)
  }
  if (context.settingsAs('primary').pgHba === undefined && config.bootstrap.pgHba.length > 0) {
    await context.files.appendHba(config.bootstrap.pgHba, Deadline.in(clock, FILES_MS))
  }
  if (!(await startServer(context, lifecycle, { role: 'primary' }, signal))) {
    signal.throwIfAborted()
    throw new HaError('E_BOOTSTRAP', `the new server did not start: ${await lastWords(context)}`)
  }
  await createRoles(context, Deadline.in(clock, FILES_MS))
  await runPostBootstrap(context, signal)
  const control = await lifecycle.controlFile(Deadline.in(clock, FILES_MS))
  if (control === undefined)
    throw new HaError('E_BOOTSTRAP', 'pg_controldata does not answer on the new cluster')
  return control.systemId
}

/** An interrupted initdb or clone is set aside; anything else in the way is the operator's. */
export async function makeRoom(context: Context, by: Deadline): Promise<void> {
  const look = await context.data.look(by)
  const { dataDir } = context.config.postgres
  switch (look?.state) {
    case 'absent':
    case 'empty':
      // Somebody's who was ended before he wrote anything: the next copy would count as unfinished.
      await context.data.endChange(by)
      return
    case 'unfinished':
      context.log.warning(
        `an unfinished copy in ${dataDir} was set aside as ${await context.data.moveAside(by)}: remove it when you like`,
      )
      return
    case undefined:
      throw noAnswer(dataDir)
    default:
      throw new UserError(
        `the data directory ${dataDir} is not empty: remove it, or correct postgresql.data_dir in ${context.config.file}`,
      )
  }
}

/** What to reject with when a look at the data directory got no answer. */
export function noAnswer(dataDir: string): HaError {
  return new HaError('E_STORAGE', `the data directory ${dataDir} does not answer`, { retryable: true })
}

async function runInitdb(context: Context, signal: AbortSignal): Promise<void> {
  const { config, clock } = context
  const { superuser, dataDir } = config.postgres
  const { allowed, refused } = splitRefused(optionList(config.bootstrap.initdb), INITDB_REFUSED)
  if (refused.length > 0) {
    throw new UserError(`${config.file}: bootstrap.initdb must not contain ${refused.join(', ')}: remove it`)
  }
  const binaries = await context.binaries(Deadline.in(clock, FILES_MS))
  const secrets = await mkdtemp(join(tmpdir(), 'pgherd-'))
  try {
    const args = [`--pgdata=${dataDir}`, `--username=${superuser.username}`]
    if (superuser.password !== undefined) {
      const pwfile = join(secrets, 'password')
      await writeFile(pwfile, `${superuser.password}\n`, { mode: 0o600 })
      args.push(`--pwfile=${pwfile}`)
    }
    args.push(...initdbArguments(allowed, binaries.majorVersion))
    await run(
      'initdb',
      binaries.path('initdb'),
      args,
      { env: toolEnvironment(), diesWithUs: true },
      context,
      signal,
    )
  } finally {
    await rm(secrets, { recursive: true, force: true })
  }
}

async function runPostBootstrap(context: Context, signal: AbortSignal): Promise<void> {
  const { config } = context
  if (config.bootstrap.postBootstrap === undefined) return
  const [program, ...args] = commandWords(config.bootstrap.postBootstrap)
  if (program === undefined) return
  const door = context.door()
  const { superuser, database, port } = config.postgres
  const address =
    'path' in door
      ? { host: join(door.path, '..'), port: String(port) }
      : { host: door.host, port: String(port) }
  const target = conninfo({ ...address, dbname: database, user: superuser.username })
  const env = {
    ...serverEnvironment(),
    PGPASSFILE: context.passfile,
    PGOPTIONS: '-c synchronous_commit=local -c statement_timeout=0',
  }
  await run('post_bootstrap', program, [...args, target], { env }, context, signal)
}

async function run(
  name: string,
  program: string,
  args: readonly string[],
  how: Pick<ChildOptions, 'env' | 'diesWithUs'>,
  context: Context,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted()
  const result = await runChild(program, args, {
    ...how,
    by: Deadline.in(context.clock, BOOTSTRAP_MS),
    signal,
  })
  signal.throwIfAborted()
  if (result.code === 0) return
  const why = (result.stderr.trim() || result.stdout.trim()).split('\n').slice(-2).join(' / ')
  throw new HaError('E_BOOTSTRAP', `${name} failed (exit code ${result.code ?? result.signal}): ${why}`)
}
