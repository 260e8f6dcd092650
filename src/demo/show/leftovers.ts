// The demo's directory and its owner's note. A demo that was killed hard cannot clean up: the next one finds the note of
// a process that is gone, and everything that still works below that directory.

import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { messageOf } from '../../platform/errors.ts'
import { killAll, processesOf } from '../proctable.ts'
import { many } from './words.ts'

const PREFIX = 'pgherd-demo-'
const NOTE = 'demo.json'

interface Owner {
  readonly pid: number
  /** When the process began, in the kernel's ticks: a pid alone may have a new owner. */
  readonly startTicks: string
  /** Which block of addresses it has. */
  readonly slot: number
}

/** What was found below a base directory. */
export interface Found {
  /** One sentence for each earlier demo, be it dead (removed now) or alive (left alone). */
  readonly says: readonly string[]
  /** The first block of addresses that no demo uses that runs. */
  readonly freeSlot: number
}

/** A fresh directory below `base` that every user may enter, with our note in it. The caller removes it. */
export async function makeDirectory(base: string, slot: number): Promise<string> {
  const directory = await mkdtemp(path.join(base, PREFIX))
  await chmod(directory, 0o755)
  const owner: Owner = { pid: process.pid, startTicks: (await startTicks(process.pid)) ?? '', slot }
  await writeFile(path.join(directory, NOTE), JSON.stringify(owner))
  return directory
}

/** Takes our note away: the directory stays for people to read, and no later demo may remove it. */
export async function disown(directory: string): Promise<void> {
  await rm(path.join(directory, NOTE), { force: true })
}

/** Looks for earlier demos of ours below `base`: ends what a dead one left and removes its directory. */
export async function clearLeftovers(base: string): Promise<Found> {
  const names = (await readdir(base).catch(() => [])).filter(name => name.startsWith(PREFIX))
  const says: string[] = []
  const slots = new Set<number>()
  for (const name of names) {
    const directory = path.join(base, name)
    const owner = await readOwner(directory)
    if (owner === undefined) continue
    if ((await startTicks(owner.pid)) === owner.startTicks) {
      slots.add(owner.slot)
      says.push(`another demo runs (process ${owner.pid}); this one takes other addresses`)
    } else {
      says.push(await clear(directory))
    }
  }
  let freeSlot = 1
  while (slots.has(freeSlot)) freeSlot += 1
  return { says, freeSlot }
}

async function clear(directory: string): Promise<string> {
  // No process carries this mark; what belongs works below the directory.
  const belonging = { directory, mark: `PGHERD_HOST=${directory}` }
  try {
    const pids = await processesOf(belonging)
    await killAll(belonging)
    await rm(directory, { recursive: true, force: true })
    const left = pids.length === 0 ? '' : ` and ${many(pids.length, 'process', 'processes')}`
    return `an earlier demo was killed and left ${directory}${left} behind: removed`
  } catch (error) {
    return `an earlier demo left ${directory} behind, which cannot be removed: ${messageOf(error)}`
  }
}

/** Only what our own user wrote counts: in a directory that all may write to, anybody can leave a note. */
async function readOwner(directory: string): Promise<Owner | undefined> {
  try {
    const note = path.join(directory, NOTE)
    if ((await stat(directory)).uid !== process.getuid?.() || (await stat(note)).uid !== process.getuid?.()) {
      return undefined
    }
    const { pid, startTicks, slot } = JSON.parse(await readFile(note, 'utf8')) as Partial<Owner>
    if (typeof pid !== 'number' || typeof startTicks !== 'string' || typeof slot !== 'number')
      return undefined
    return { pid, startTicks, slot }
  } catch {
    return undefined
  }
}

/** Field 22 of the process's `stat`; undefined when the process is gone. */
async function startTicks(pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  // Counted from behind the command's name, which may contain blanks and parentheses.
  return text.slice(text.lastIndexOf(')') + 2).split(' ')[19]
}
