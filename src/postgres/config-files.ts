// Writes the server's configuration files: which file gets what, in which order. Every write is atomic.

import type { RoleSettings } from '../config/agent/types.ts'
import type { Deadline } from '../platform/deadline.ts'
import { DataDirectory } from './data-directory.ts'
import {
  linesFile,
  postgresqlConf,
  type RecoverySource,
  recoveryConf,
  standbySettings,
  withoutOurParameters,
} from './settings-text.ts'

/** What the files should make of the server. A primary has no source. */
export type Intent =
  | { readonly role: 'primary' }
  | { readonly role: 'replica'; readonly source: RecoverySource }
  /** Somebody's backup that recovers up to a target and is a primary then; `keepsExisting`: as the files that are there say. */
  | {
      readonly role: 'recovery'
      readonly settings: Readonly<Record<string, string>>
      readonly keepsExisting: boolean
    }

/** Recovery settings live in postgresql.conf from this version on. */
export const RECOVERY_IN_MAIN_FILE = 12
const STANDBY_SIGNAL = 'standby.signal'
const RECOVERY_SIGNAL = 'recovery.signal'
const SIGNALS = [STANDBY_SIGNAL, RECOVERY_SIGNAL, 'recovery.conf', 'promote']

export interface ConfigFilesOptions {
  readonly data: DataDirectory
  /** `postgresql.config_dir`; the data directory unless it is set. */
  readonly configDir: string
  /** `postgresql.config_base_name`. */
  readonly baseName: string
  /** `postgresql.custom_conf`: included in place of the base file. */
  readonly customConf: string | undefined
}

/** The configuration files of one server. */
export class ConfigFiles {
  readonly mainFile: string
  readonly #data: DataDirectory
  readonly #config: DataDirectory
  readonly #options: ConfigFilesOptions

  constructor(options: ConfigFilesOptions) {
    this.#options = options
    this.#data = options.data
    this.#config =
      options.configDir === options.data.path ? options.data : new DataDirectory(options.configDir)
    this.mainFile = `${options.configDir}/${options.baseName}.conf`
  }

  /** Copies into the data directory, after a start that went well: a clone to a host without our files completes itself. */
  async keepCopies(by: Deadline): Promise<void> {
    if (this.isBesideData) await this.#data.keepCopiesOf(this.#config, this.#fileNames, by)
  }

  get #fileNames(): readonly string[] {
    const { baseName } = this.#options
    return [`${baseName}.conf`, `${baseName}.base.conf`, 'pg_hba.conf', 'pg_ident.conf']
  }

  get isBesideData(): boolean {
    return this.#config !== this.#data
  }

  /**
   * Writes everything for `intent` except the signal file: the running server reads these at its next reload. The file
   * that initdb or a package left becomes the base file, once. `ownsSynchronous`: ALTER SYSTEM may not decide who
   * confirms commits, because failover goes by what the agent decided.
   */
  async write(
    settings: RoleSettings,
    intent: Intent,
    majorVersion: number,
    by: Deadline,
    ownsSynchronous = false,
  ): Promise<void> {
    const { baseName, customConf } = this.#options
    const baseFile = `${baseName}.base.conf`
    if (this.isBesideData) await this.#config.fillFrom(this.#data, this.#fileNames, by)
    if (customConf === undefined) await this.#config.keepOriginal(`${baseName}.conf`, baseFile, by)
    const isOneFile = majorVersion >= RECOVERY_IN_MAIN_FILE
    const recovery = recoveryOf(intent, settings)
    const files = this.isBesideData ? this.#accessFiles(settings) : {}
    const tail = isOneFile ? { ...files, ...knownRecovery(recovery, intent) } : files
    const main = postgresqlConf(customConf ?? baseFile, settings.parameters, tail)
    await this.#config.write(`${baseName}.conf`, main, by)
    const isTargeted = intent.role === 'recovery' && !intent.keepsExisting && hasAny(intent.settings)
    if (!isOneFile && (intent.role === 'replica' || isTargeted))
      await this.#data.write('recovery.conf', recoveryConf(recovery, intent.role === 'replica'), by)
    await this.#writeAccess(settings, by)
    if (intent.role === 'recovery' && intent.keepsExisting) return
    await this.#cleanAutoConf(ownsSynchronous, by)
  }

  /** Makes the next start a standby's or a primary's. Call it with the server down. */
  async writeSignals(intent: Intent, majorVersion: number, by: Deadline): Promise<void> {
    const isOneFile = majorVersion >= RECOVERY_IN_MAIN_FILE
    if (intent.role === 'recovery' && intent.keepsExisting) {
      await this.#data.remove(['promote'], by)
      return
    }
    const keep = signalOf(intent, isOneFile)
    await this.#data.remove(
      SIGNALS.filter(name => name !== keep),
      by,
    )
    if (keep !== undefined && keep !== 'recovery.conf') await this.#data.write(keep, '', by)
  }

  /** Adds lines to the pg_hba.conf that initdb wrote. */
  async appendHba(lines: readonly string[], by: Deadline): Promise<void> {
    const now = (await this.#config.read('pg_hba.conf', by)) ?? ''
    await this.#config.write('pg_hba.conf', `${now}\n${lines.map(line => `${line}\n`).join('')}`, by)
  }

  /** Outside the data directory the server has to be told; a path that the operator chose stays. */
  #accessFiles(settings: RoleSettings): Readonly<Record<string, string>> {
    const { configDir } = this.#options
    const files = { hba_file: `${configDir}/pg_hba.conf`, ident_file: `${configDir}/pg_ident.conf` }
    return Object.fromEntries(
      Object.entries(files).filter(([name]) => settings.parameters[name] === undefined),
    )
  }

  async #writeAccess(settings: RoleSettings, by: Deadline): Promise<void> {
    if (settings.pgHba !== undefined) await this.#config.write('pg_hba.conf', linesFile(settings.pgHba), by)
    if (settings.pgIdent !== undefined)
      await this.#config.write('pg_ident.conf', linesFile(settings.pgIdent), by)
  }

  async #cleanAutoConf(ownsSynchronous: boolean, by: Deadline): Promise<void> {
    const before = (await this.#data.read('postgresql.auto.conf', by)) ?? ''
    const cleaned = withoutOurParameters(before, ownsSynchronous)
    if (cleaned !== undefined) await this.#data.write('postgresql.auto.conf', cleaned, by)
  }
}

function hasAny(settings: Readonly<Record<string, string>>): boolean {
  return Object.keys(settings).length > 0
}

/** Without a target somebody's backup only ends what its own WAL tells. */
function signalOf(intent: Intent, isOneFile: boolean): string | undefined {
  if (intent.role === 'primary' || (intent.role === 'recovery' && !hasAny(intent.settings))) return undefined
  if (!isOneFile) return 'recovery.conf'
  return intent.role === 'replica' ? STANDBY_SIGNAL : RECOVERY_SIGNAL
}

function recoveryOf(intent: Intent, { recovery }: RoleSettings): Readonly<Record<string, string>> {
  if (intent.role === 'replica') return standbySettings(intent.source, recovery)
  return intent.role === 'recovery' ? (intent.keepsExisting ? {} : intent.settings) : recovery
}

/** A primary keeps restore_command and the like, so that a later demotion needs no other file; targets never. */
function knownRecovery(
  recovery: Readonly<Record<string, string>>,
  intent: Intent,
): Readonly<Record<string, string>> {
  if (intent.role !== 'primary') return recovery
  return Object.fromEntries(Object.entries(recovery).filter(([name]) => !name.startsWith('recovery_target')))
}
