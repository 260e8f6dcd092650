// Waiting for something in the cluster, with a line that tells on a screen what is still missing.

import type { CtlContext } from './context.ts'

const LOOK_MS = 500

/**
 * Calls `look` until it says that it is done or the time is over. `look` returns what is missing, or undefined when nothing
 * is; what it prints meanwhile goes through `tell`, or it would stand behind the progress. Returns whether it was done in time.
 */
export async function waitWithProgress(
  { clock, terminal, signal }: CtlContext,
  withinMs: number,
  look: (tell: (text: string) => void) => Promise<string | undefined>,
): Promise<boolean> {
  const beganMs = clock.monotonicMs()
  const show = (text: string) => {
    if (terminal.isScreen) terminal.warn(`\r\u001b[K${text}`)
  }
  const tell = (text: string) => {
    show('')
    terminal.print(text)
  }
  try {
    for (;;) {
      const missing = await look(tell)
      if (missing === undefined) return true
      const seconds = Math.floor((clock.monotonicMs() - beganMs) / 1000)
      show(`${missing} (${seconds} s)`)
      if (clock.monotonicMs() - beganMs >= withinMs) return false
      await clock.sleep(LOOK_MS, signal)
    }
  } finally {
    show('')
  }
}
