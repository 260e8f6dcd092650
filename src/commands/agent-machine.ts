// What the agent uses of its machine beside the server: watchdog devices, the operator's scripts.

import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import type { RunScript } from '../agent/callbacks.ts'
import type { Watchdogs } from '../agent/watchdog.ts'
import { HaError, messageOf } from '../platform/errors.ts'
import { runScript } from '../platform/script.ts'
import { LinuxWatchdog, TestingWatchdog, type WatchdogDevice } from '../platform/watchdog-device.ts'
import { commandWords } from '../postgres/command-words.ts'
import { missingCallback } from '../postgres/programs.ts'

/** The last one that was made: as long as a call of it hangs, no other is asked for, for each would cost a thread. */
let current: WatchdogDevice | undefined
let isLooking = false

/** The devices of this machine. */
export const machineWatchdogs: Watchdogs = {
  device: ({ driver, device }) => {
    if (current?.isStuck === true)
      throw new HaError('E_WATCHDOG', 'an earlier call of the watchdog device hangs')
    current = driver === 'testing' ? new TestingWatchdog(device) : new LinuxWatchdog(device)
    return current
  },
  isWritable: async (path, by) => {
    if (isLooking) return false
    isLooking = true
    const looked = access(path, constants.W_OK).finally(() => {
      isLooking = false
    })
    return by
      .run(`looking at ${path}`, () => looked)
      .then(
        () => true,
        () => false,
      )
  },
}

/** Splits the line as a shell would and runs it with the arguments behind it. */
export const runCommandLine: RunScript = async (line, args, signal) => {
  try {
    const words = commandWords(line)
    const end = await runScript([...words, ...args], signal)
    const hint = end.kind === 'not-run' ? missingCallback(words[0] ?? '') : undefined
    return hint === undefined ? end : { kind: 'not-run', says: hint }
  } catch (error) {
    return { kind: 'not-run', says: messageOf(error) }
  }
}
