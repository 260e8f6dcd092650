// The data directory, reached only through children: its storage may hang, and then a child hangs, not us.
// Also the only place that says what the files in it mean for us. No other module opens a path below it.

import { type ChildResult, runChild } from '../platform/child.ts'
import type { Deadline } from '../platform/deadline.ts'
import { HaError } from '../platform/errors.ts'
import { Shell } from '../platform/shell.ts'
import {
  CLEAR_PLACES,
  DISCARD,
  EMPTY_PLACES,
  FILL,
  KEEP_COPIES,
  KEEP_ORIGINAL,
  LOOK,
  MARK_REWIND,
  MOVE_ASIDE,
  OLDEST_WAL,
  PLACE_SLOT,
  TRY_WRITE,
  UNARCHIVED,
  UNMARK_REWIND,
  WRITE,
} from './data-scripts.ts'
import { toolEnvironment } from './environment.ts'
import { type PostmasterPid, parsePostmasterPid } from './postmaster-pid.ts'
import { liveGroups } from './procfs.ts'
import type { WriteAnswer } from './storage-check.ts'

/**
 * `unfinished`: a clone, an initdb or a rewind that was interrupted: no server may be started on it. `foreign`: files, but
 * no PostgreSQL cluster. `unreadable`: not ours, no permission, or no directory.
 */
export type DirectoryState = 'absent' | 'empty' | 'unfinished' | 'foreign' | 'unreadable' | 'initialized'

export interface DirectoryLook {
  readonly state: DirectoryState
  /** 15, as PG_VERSION says. */
  readonly majorVersion: number | undefined
  readonly hasStandbySignal: boolean
  /** The path without symbolic links: what the kernel calls it in /proc. */
  readonly realPath: string | undefined
  readonly postmaster: PostmasterPid | undefined
}

const STATES: readonly string[] = ['absent', 'empty', 'unfinished', 'foreign', 'unreadable', 'initialized']
/** More children than this that do not come back, and we stop sending new ones. */
const STUCK_MAX = 4
/** After a question that got no answer in time the next ones wait so long: a turn of the loop asks several of them. */
const SILENT_MS = 1_000
/** While it is silent every third look has its whole time. */
const PATIENT_EVERY = 3
const SHELL = '/bin/sh'

/** One data directory. Calls reject with E_STORAGE when the child fails or its deadline passes. */
export class DataDirectory {
  readonly path: string
  readonly #kept = new Shell(() => toolEnvironment())
  /** Process groups of calls that did not come back. */
  #stuck: number[] = []
  /** So many questions in a row got no answer in time. */
  #silent = 0

  constructor(path: string) {
    this.path = path
  }

  /** What is there. Undefined when the look did not come back in time. */
  async look(by: Deadline): Promise<DirectoryLook | undefined> {
    // Storage that is slow and no more must be seen as it is some time, or nobody would ever start on it again.
    const isPatient = this.#silent % PATIENT_EVERY === 0
    const result = await this.#ask(LOOK, [this.path], by, isPatient)
    return result === undefined || result.code !== 0 ? undefined : parseLook(result.stdout)
  }

  /** A file's text; undefined when it does not exist. */
  async read(name: string, by: Deadline): Promise<string | undefined> {
    const script = '[ -d "$1" ] || exit 1; [ -e "$1/$2" ] || exit 3; cat "$1/$2"'
    const result = await this.#must(`read ${name}`, script, [this.path, name], by, [0, 3])
    return result.code === 3 ? undefined : result.stdout
  }

  /** `count` bytes of a file from `offset`, in hex; undefined when it does not exist or is shorter. */
  async readHex(name: string, offset: number, count: number, by: Deadline): Promise<string | undefined> {
    const script =
      'cd "$1" || exit 1; [ -e "$2" ] || exit 3; tail -c "+$3" "$2" | head -c "$4" | od -An -v -tx1'
    const args = [this.path, name, String(offset + 1), String(count)]
    const result = await this.#must(`read ${name}`, script, args, by, [0, 3])
    const hex = result.stdout.replace(/\s+/g, '')
    return result.code === 3 || hex.length < 2 * count ? undefined : hex
  }

  /** The last `bytes` of any file beside or below the directory; empty when it does not exist. */
  async tail(path: string, bytes: number, by: Deadline): Promise<string> {
    const script = '[ -e "$1" ] || exit 0; tail -c "$2" "$1"'
    return (await this.#must(`read ${path}`, script, [path, String(bytes)], by)).stdout
  }

  /** Replaces a file: written beside it, flushed, renamed. Left alone when the content is the same already. */
  async write(name: string, content: string, by: Deadline): Promise<void> {
    await this.#must(`write ${name}`, WRITE, [this.path, name], by, [0], content)
  }

  /** Removes files; those that do not exist do not matter. */
  async remove(names: readonly string[], by: Deadline): Promise<void> {
    const script = 'cd "$1" || exit 1; shift; rm -f -- "$@"'
    await this.#must(`remove ${names.join(', ')}`, script, [this.path, ...names], by)
  }

  /** Copies `from` to `to` once: nothing happens when `to` exists or `from` does not. */
  async keepOriginal(from: string, to: string, by: Deadline): Promise<void> {
    await this.#must(`keep ${from}`, KEEP_ORIGINAL, [this.path, from, to], by)
  }

  /** Gets the files that are missing here from `source`: their kept copies, else the files themselves. */
  async fillFrom(source: DataDirectory, names: readonly string[], by: Deadline): Promise<void> {
    await this.#must('complete the files', FILL, [this.path, source.path, ...names], by)
  }

  /** Keeps copies of the files of `source` here, as `<name>.backup`, where a clone finds them. */
  async keepCopiesOf(source: DataDirectory, names: readonly string[], by: Deadline): Promise<void> {
    await this.#must('keep copies', KEEP_COPIES, [source.path, this.path, ...names], by)
  }

  /** The names of complete WAL files that wait for the archiver, oldest first. */
  async unarchivedWal(by: Deadline): Promise<readonly string[]> {
    return (await this.#must('list WAL to archive', UNARCHIVED, [this.path], by)).stdout
      .split('\n')
      .filter(name => name !== '')
  }

  /** Of the oldest WAL file the last two parts of the name, 16 hex digits; undefined when there is none. */
  async oldestWal(by: Deadline): Promise<string | undefined> {
    const name = (await this.#must('list WAL', OLDEST_WAL, [this.path], by)).stdout.trim()
    return name === '' ? undefined : name
  }

  /** Lays the state of a replication slot where a stopped server finds it; a slot that is there stays. */
  async placeSlot(name: string, state: Buffer, by: Deadline): Promise<void> {
    const text = `${state.toString('base64')}\n`
    await this.#must(`place slot ${name}`, PLACE_SLOT, [this.path, name], by, [0], text)
  }

  /**
   * Renames the directory to `<path>.failed`, with a number when that exists, and makes an empty one; so with what its
   * tablespaces and its WAL have outside. Returns the new path. Undefined: nothing is there.
   */
  async moveAside(by: Deadline): Promise<string | undefined> {
    const { code, stdout } = await this.#must('set aside', MOVE_ASIDE, [this.path], by, [0, 3])
    return code === 3 ? undefined : stdout.trim()
  }

  /** From now on, and after every restart, the directory counts as unfinished, until `endChange` or `moveAside`. */
  async beginChange(by: Deadline): Promise<void> {
    await this.#must('note the change beside', MARK_REWIND, [this.path], by)
  }

  /** The directory is whole: changed to the end, or never touched. */
  async endChange(by: Deadline): Promise<void> {
    await this.#must('remove the note of the change beside', UNMARK_REWIND, [this.path], by)
  }

  /**
   * Removes everything in it, and what its tablespaces and its WAL have outside. Only for a copy that this process has just
   * made and that failed, and for a copy that the operator ordered afresh. Cut short, it leaves an unfinished directory.
   */
  async discardContents(by: Deadline): Promise<void> {
    await this.#must('remove what is', DISCARD, [this.path], by)
  }

  /** Of directories of tablespaces, those that are empty or not there yet. */
  async emptyPlaces(places: readonly string[], by: Deadline): Promise<readonly string[]> {
    const { stdout } = await this.#must('look for room for tablespaces', EMPTY_PLACES, places, by)
    return stdout.split('\n').filter(place => place !== '')
  }

  /** Removes everything in directories that were empty before a copy failed. */
  async clearPlaces(places: readonly string[], by: Deadline): Promise<void> {
    await this.#must('remove the tablespaces of a copy', CLEAR_PLACES, places, by)
  }

  /** Writes a page, flushes and removes it: whether the storage takes writes at all. Never rejects. */
  async tryWrite(by: Deadline): Promise<WriteAnswer> {
    const result = await this.#shell(TRY_WRITE, [this.path], by)
    if (result === undefined) return { kind: 'silent' }
    if (result.code === 0) return { kind: 'taken' }
    // `sh: 9: cannot create F: No space left on device`, `head: error writing 'standard output': No space left on device`.
    const [first = ''] = result.stderr.trim().split('\n')
    return { kind: 'refused', says: first.split(': ').at(-1) ?? first }
  }

  /** Runs a program that only reads the directory and prints a page; undefined when it did not come back in time. */
  inspect(program: string, args: readonly string[], by: Deadline): Promise<ChildResult | undefined> {
    return this.#ask('exec "$@"', [program, ...args], by)
  }

  /** Something that only reads, and is asked again when there is no answer. */
  async #ask(
    script: string,
    args: readonly string[],
    by: Deadline,
    isPatient = this.#silent === 0,
  ): Promise<ChildResult | undefined> {
    const result = await this.#shell(script, args, isPatient ? by : by.within(SILENT_MS))
    this.#silent = result === undefined ? this.#silent + 1 : 0
    return result
  }

  async #must(
    what: string,
    script: string,
    args: readonly string[],
    by: Deadline,
    codes: readonly number[] = [0],
    input?: string,
  ): Promise<ChildResult> {
    const result = await this.#shell(script, args, by, input)
    if (result?.code !== undefined && codes.includes(result.code)) return result
    const why = result === undefined ? 'the storage did not answer in time' : result.stderr.trim()
    throw new HaError('E_STORAGE', `cannot ${what} in ${this.path}: ${why}`, { retryable: true })
  }

  /** Most calls come one after the other and share one shell; one that comes meanwhile gets a child of its own. */
  async #shell(
    script: string,
    args: readonly string[],
    by: Deadline,
    input?: string,
  ): Promise<ChildResult | undefined> {
    if (await this.#isStuck()) return undefined
    const given = input === undefined ? {} : { input }
    const run = this.#kept.isBusy
      ? runAlone(script, args, by, given)
      : this.#kept.run(script, { by, args, ...given })
    // A child that cannot be started (no process or descriptor left) tells nothing about the directory.
    const result = await run.catch(() => undefined)
    if (result === undefined) return undefined
    if (result.timedOut && result.group !== undefined) this.#stuck.push(result.group)
    return result.timedOut ? undefined : result
  }

  /** Children that were killed and still exist hang in the kernel: no sense in adding to them without limit. */
  async #isStuck(): Promise<boolean> {
    if (this.#stuck.length === 0) return false
    const alive = await liveGroups().catch(() => undefined)
    if (alive !== undefined) this.#stuck = this.#stuck.filter(group => alive.has(group))
    return this.#stuck.length >= STUCK_MAX
  }
}

async function runAlone(
  script: string,
  args: readonly string[],
  by: Deadline,
  given: { readonly input?: string },
): Promise<ChildResult & { readonly group: number | undefined }> {
  let group: number | undefined
  const result = await runChild(SHELL, ['-c', script, 'sh', ...args], {
    by,
    env: toolEnvironment(),
    cwd: '/',
    ...given,
    onStart: started => {
      group = started
    },
  })
  return { ...result, group }
}

function parseLook(text: string): DirectoryLook | undefined {
  const [state, version = '', standby = '', realPath = '', ...pidFile] = text.split('\n')
  if (state === undefined || !STATES.includes(state)) return undefined
  const majorVersion = Number.parseInt(version, 10)
  return {
    state: state as DirectoryState,
    majorVersion: Number.isNaN(majorVersion) ? undefined : majorVersion,
    hasStandbySignal: standby === 'standby',
    realPath: realPath === '' ? undefined : realPath,
    postmaster: parsePostmasterPid(pidFile.join('\n')),
  }
}
