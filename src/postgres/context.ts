// What all parts of one server share: its settings, its files, its programs, the ways to reach it and its upstreams.

import { createHash } from 'node:crypto'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import type { HostPort } from '../cluster/member.ts'
import type {
  Credentials,
  LocalConfig,
  RoleSettings,
  ServerSettings,
  ToolOption,
} from '../config/agent/types.ts'
import type { Clock } from '../platform/clock.ts'
import type { Deadline } from '../platform/deadline.ts'
import { messageOf, UserError } from '../platform/errors.ts'
import type { Logger } from '../platform/log.ts'
import { type Binaries, findBinaries } from './binaries.ts'
import type { CloneProgress } from './clone-progress.ts'
import { ConfigFiles, type Intent, RECOVERY_IN_MAIN_FILE } from './config-files.ts'
import { SESSION, type Target } from './connection.ts'
import { DataDirectory } from './data-directory.ts'
import { checkParameters, type KnownRefusals } from './parameter-check.ts'
import type { Door } from './ping.ts'
import type { ServerRole } from './port.ts'
import { removeSecretFile, splitSecret, writeSecretFile } from './secret-files.ts'
import { isWordOf, passwordFile } from './settings-text.ts'

/** The part of a node's file that is about its server. */
export type ServerConfig = Pick<LocalConfig, 'name' | 'scope' | 'file' | 'postgres' | 'bootstrap'>

export interface ServerOptions {
  readonly config: ServerConfig
  readonly settings: ServerSettings
  readonly clock: Clock
  readonly log: Logger
  /** Where the server's stdout and stderr go; `<data_dir>.log` unless it is given. */
  readonly logFile?: string
}

/** Compiled into Debian's and the PGDG's packages. */
const DEFAULT_SOCKET_DIR = '/var/run/postgresql'

/** Sessions on our own server: they must not wait for a standby, and must not show in statement statistics. */
const LOCAL_SESSION: Readonly<Record<string, string>> = {
  ...SESSION,
  synchronous_commit: 'local',
  'pg_stat_statements.track': 'none',
}

const SYNCHRONOUS_NAMES = 'synchronous_standby_names'
const REFUSALS_MAX = 200

/** Shared by the parts of one LocalServer. */
export class Context {
  /** Replaced when the node's file is read again; what a running server stands on (directory, port) stays the same. */
  config: ServerConfig
  readonly clock: Clock
  readonly log: Logger
  readonly data: DataDirectory
  readonly files: ConfigFiles
  readonly passfile: string
  readonly logFile: string
  readonly spareLogFile: string
  settings: ServerSettings
  /** What the agent decided about `synchronous_standby_names`; undefined leaves it to the settings. */
  synchronousNames: string | undefined
  /** How far the copy is that is being made; undefined when none is, or when its program does not tell. */
  cloneProgress: CloneProgress | undefined
  /** Does the server that runs know the service file? True while none runs: the next one will. */
  readsServiceFile = true
  #binaries: Binaries | undefined
  /** The parameters that were checked last, as text, and what the server takes of them. */
  readonly #refusals: KnownRefusals = new Map()
  readonly #warned = new Set<string>()
  #checked: { readonly text: string; readonly accepted: Readonly<Record<string, string>> } | undefined

  constructor(options: ServerOptions) {
    const { config } = options
    this.config = config
    this.clock = options.clock
    this.log = options.log
    this.settings = options.settings
    const { dataDir } = config.postgres
    this.data = new DataDirectory(dataDir)
    this.files = new ConfigFiles({
      data: this.data,
      configDir: this.#text('config_dir') ?? dataDir,
      baseName: this.#text('config_base_name') ?? 'postgresql',
      customConf: this.#text('custom_conf'),
    })
    // Several servers may share a home directory; each has a password file of its own.
    const mark = createHash('sha256').update(dataDir).digest('hex').slice(0, 8)
    this.passfile = config.postgres.pgpass ?? join(homedir(), `.pgherd-${mark}.pgpass`)
    this.logFile = options.logFile ?? `${dataDir}.log`
    this.spareLogFile = join(tmpdir(), `pgherd-${mark}.postgres.log`)
  }

  /** PostgreSQL's programs; found once. UserError when they are missing. */
  async binaries(by: Deadline, dataMajor?: number): Promise<Binaries> {
    this.#binaries ??= await findBinaries(
      { binDir: this.config.postgres.binDir, names: this.#names(), preferMajor: dataMajor },
      by,
    )
    return this.#binaries
  }

  /** The version of PostgreSQL's programs; undefined until they were found. */
  get majorVersion(): number | undefined {
    return this.#binaries?.majorVersion
  }

  /** A warning that holds until we are restarted. Only for texts of which there are few. */
  warnOnce(text: string): void {
    if (!this.#warned.has(text)) this.log.warning(text)
    this.#warned.add(text)
  }

  /** Settings made without a cluster's configuration have none: then the file's count. */
  get basebackupOptions(): readonly ToolOption[] {
    return this.settings.basebackup ?? this.config.postgres.basebackup
  }

  /** What stands on the postmaster's command line. */
  commandLine(): Readonly<Record<string, string>> {
    const { config, settings } = this
    return {
      ...settings.controlled,
      listen_addresses: config.postgres.listenAddresses,
      port: String(config.postgres.port),
      cluster_name: config.scope,
    }
  }

  /**
   * Writes the configuration files for `intent`. What stands on the command line is written too: otherwise PostgreSQL
   * compares the command line with older files at each reload and calls for a restart for ever.
   */
  async writeFiles(intent: Intent, by: Deadline): Promise<void> {
    const { majorVersion } = await this.binaries(by)
    const settings = this.settingsAs(intent.role === 'replica' ? 'replica' : 'primary')
    // Below 12 they have a file of their own, with names that the program does not know as parameters.
    const asked = majorVersion >= RECOVERY_IN_MAIN_FILE ? settings.recovery : {}
    const taken = Object.entries(await this.#takenParameters(settings.parameters, asked, by))
    const isRecovery = (name: string) => Object.hasOwn(asked, name)
    const parameters = {
      ...Object.fromEntries(taken.filter(([name]) => !isRecovery(name))),
      ...this.commandLine(),
    }
    const recovery =
      majorVersion >= RECOVERY_IN_MAIN_FILE
        ? Object.fromEntries(taken.filter(([name]) => isRecovery(name)))
        : settings.recovery
    const ownsSynchronous = this.synchronousNames !== undefined
    await this.files.write({ ...settings, parameters, recovery }, intent, majorVersion, by, ownsSynchronous)
  }

  /** What counts for a server of this role. */
  settingsAs(role: ServerRole): RoleSettings {
    return this.settings.byRole?.[role] ?? this.settings
  }

  /** Without those that would keep the server from starting; each new set is checked once and told about once. */
  async #takenParameters(
    wanted: Readonly<Record<string, string>>,
    recovery: Readonly<Record<string, string>>,
    by: Deadline,
  ): Promise<Readonly<Record<string, string>>> {
    const parameters = { ...this.#ownParameters(wanted), ...recovery }
    const text = JSON.stringify(parameters)
    if (this.#checked?.text === text) return this.#checked.accepted
    const postgres = (await this.binaries(by)).path('postgres')
    const { accepted, refused } = await checkParameters(postgres, parameters, this.#refusals, by)
    // Values of long ago are of no use any more.
    if (this.#refusals.size > REFUSALS_MAX) this.#refusals.clear()
    for (const { name, says } of refused) {
      const where = Object.hasOwn(recovery, name) ? 'recovery_conf' : 'parameters'
      this.log.warning(`postgresql.${where}.${name} is left out: PostgreSQL says: ${says}`)
    }
    this.#checked = { text, accepted }
    return accepted
  }

  /** Where our own server listens for us. */
  door(): Door {
    const { listenAddresses, port } = this.config.postgres
    if (this.config.postgres.raw['use_unix_socket'] === true) {
      return { path: `${this.socketDirectories()[0] ?? DEFAULT_SOCKET_DIR}/.s.PGSQL.${port}` }
    }
    const addresses = listenAddresses.split(',').map(address => address.trim())
    if (addresses.some(address => ['*', '0.0.0.0', 'localhost', '127.0.0.1'].includes(address))) {
      return { host: '127.0.0.1', port }
    }
    const [first = '127.0.0.1'] = addresses
    return { host: first === '::' ? '::1' : first, port }
  }

  /** Where our server puts its sockets; abstract ones (@...) have no directory and no lock file. */
  socketDirectories(): readonly string[] {
    const directories = this.settings.parameters['unix_socket_directories'] ?? DEFAULT_SOCKET_DIR
    return directories
      .split(',')
      .map(directory => directory.trim())
      .filter(directory => directory.startsWith('/'))
  }

  /** Without the words that servers of this version do not know. */
  #known(who: Credentials): Credentials {
    const words = Object.entries(who.options).filter(([word]) => isWordOf(this.majorVersion, word))
    return { ...who, options: Object.fromEntries(words) }
  }

  /** Our own server, as superuser. */
  local(session: Readonly<Record<string, string>> = {}): Target {
    const { superuser, database } = this.config.postgres
    return {
      door: this.door(),
      who: this.#known(superuser),
      database,
      isReplication: false,
      session: { ...LOCAL_SESSION, ...session },
    }
  }

  /** Our own server's walsender. */
  localReplication(): Target {
    const { replication, database } = this.config.postgres
    return {
      door: this.door(),
      who: this.#known(replication),
      database,
      isReplication: true,
      session: SESSION,
    }
  }

  /** Another member's server. */
  remote(address: HostPort, who: Credentials, isReplication: boolean): Target {
    return {
      door: { host: address.host, port: address.port },
      who: this.#known(who),
      database: this.config.postgres.database,
      isReplication,
      session: SESSION,
    }
  }

  /** Where a receiver finds the pass phrase of its key; undefined when its key has none. */
  get serviceFile(): string | undefined {
    const { serviceFile } = splitSecret(this.config.postgres.replication.options)
    return serviceFile === undefined ? undefined : `${this.passfile}.service`
  }

  /**
   * Writes the password file that tools and a standby's receiver read (0600), and beside it the receiver's service file when
   * its key has a pass phrase. UserError when they cannot be written.
   */
  async writePassfile(by: Deadline): Promise<void> {
    const { superuser, replication, rewind } = this.config.postgres
    const { serviceFile } = splitSecret(replication.options)
    const beside = `${this.passfile}.service`
    try {
      await writeSecretFile(this.passfile, passwordFile([replication, rewind, superuser]), by)
      if (serviceFile === undefined) await removeSecretFile(beside, by)
      else await writeSecretFile(beside, serviceFile, by)
    } catch (error) {
      throw new UserError(
        `cannot write the password file ${this.passfile}: ${messageOf(error)}; set postgresql.pgpass to a path that this user may write`,
      )
    }
  }

  #ownParameters(wanted: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
    const { synchronousNames } = this
    if (synchronousNames === undefined) return wanted
    const others = Object.entries(wanted).filter(([name]) => name.toLowerCase() !== SYNCHRONOUS_NAMES)
    return { ...Object.fromEntries(others), [SYNCHRONOUS_NAMES]: synchronousNames }
  }

  #names(): Readonly<Record<string, string>> {
    const names = this.config.postgres.raw['bin_name']
    if (typeof names !== 'object' || names === null || Array.isArray(names)) return {}
    return Object.fromEntries(
      Object.entries(names).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
    )
  }

  #text(key: string): string | undefined {
    const value = this.config.postgres.raw[key]
    return typeof value === 'string' && value !== '' ? value : undefined
  }
}
