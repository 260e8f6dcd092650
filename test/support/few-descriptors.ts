// A low limit of open files for this process: Node raises its own to the hard one, which may be 2^30.

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** Sets the soft limit; returns what sets it back. */
export function limitDescriptors(count: number): () => void {
  const before = /^Max open files +(\w+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]
  if (before === undefined) throw new Error('/proc/self/limits tells no limit of open files')
  setSoftLimit(String(count))
  return () => setSoftLimit(before)
}

function setSoftLimit(text: string): void {
  execFileSync('prlimit', ['--pid', String(process.pid), `--nofile=${text}:`])
}
