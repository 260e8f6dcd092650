// Closes a client's connection so that it can read our last words: FIN, never a reset while bytes are unread.

import type { Socket } from 'node:net'
import type { Clock } from '../platform/clock.ts'

/** How long a client may take to read the last words and close. */
export const LINGER_MS = 1000

/**
 * Sends `lastWords` and FIN, then reads and drops what the client still sends (unread bytes would turn our close into
 * a reset, which may destroy the words on their way), until it closes too or `lingerMs` have passed.
 */
export function sayFarewell(
  clock: Clock,
  client: Socket,
  lastWords: Buffer | undefined,
  lingerMs = LINGER_MS,
): void {
  if (client.destroyed) return
  client.removeAllListeners('data')
  const timer = clock.setTimer(lingerMs, () => client.destroy())
  client.once('close', () => timer.cancel())
  client.on('data', drop)
  client.resume()
  if (client.writableEnded) return
  if (lastWords === undefined) client.end()
  else client.end(lastWords)
}

function drop(): void {}
