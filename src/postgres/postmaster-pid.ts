// The file in which a postmaster writes down who it is.

export interface PostmasterPid {
  readonly pid: number
  /** A single-user server (initdb's, or the recovery before a rewind): nobody can connect, and its end is no crash. */
  readonly singleUser: boolean
  /** Seconds since 1970, by the wall clock of that time. */
  readonly startedAtSeconds: number | undefined
  readonly port: number | undefined
  /** `starting`, `stopping`, `ready`, `standby`; undefined while it is not written yet. */
  readonly status: string | undefined
}

/** Reads postmaster.pid; undefined when there is no pid in it. Single-user servers write theirs negative. */
export function parsePostmasterPid(text: string): PostmasterPid | undefined {
  const lines = text.split('\n').map(line => line.trim())
  const written = Number(lines[0])
  const pid = Math.abs(written)
  if (!Number.isSafeInteger(pid) || pid <= 1) return undefined
  const status = lines[7] ?? ''
  return {
    pid,
    singleUser: written < 0,
    startedAtSeconds: positive(lines[2]),
    port: positive(lines[3]),
    status: status === '' ? undefined : status,
  }
}

function positive(text: string | undefined): number | undefined {
  const value = Number(text)
  return Number.isSafeInteger(value) && value > 0 ? value : undefined
}
