// What the demo's table shows, as one value of one instant. Types only: filled by the observer, drawn by the table.

/** What is known of a member's processes. `unguarded`: the server runs, its agent does not. */
export type Pulse = 'up' | 'silent' | 'unguarded' | 'frozen' | 'down'

/** One database server with its agent. */
export interface MemberPicture {
  readonly name: string
  readonly address: string
  readonly pulse: Pulse
  /** `leader` holds the key, by the proxies' word; otherwise what its own server says it is. */
  readonly role: string
  readonly state: string
  readonly timeline: number | undefined
  /** Behind the leader; undefined when either position is not known. */
  readonly lagBytes: number | undefined
  /** Left of the lease; only the leader has one. */
  readonly leaseLeftMs: number | undefined
}

/** One proxy. `leader` is where new write sessions go; undefined: they wait. */
export interface ProxyPicture {
  readonly name: string
  readonly isUp: boolean
  readonly address: string
  readonly writePort: number
  readonly readPort: number
  readonly leader: string | undefined
  readonly writeSessions: number
  readonly readSessions: number
  readonly held: number
  /** Why sessions wait, in the proxy's words. */
  readonly waitingBecause: string | undefined
}

/** The clients: all writers together, and the reader. */
export interface LoadPicture {
  readonly ratePerSecond: number
  readonly acknowledged: number
  readonly longestGapMs: number
  /** Rows acknowledged in each slice of time, oldest first. */
  readonly samples: readonly number[]
  /** Which server answered the latest reads, oldest first. */
  readonly answers: readonly string[]
}

/** One line of the story. */
export interface Chapter {
  readonly time: string
  readonly says: string
}

/** Everything on the screen. */
export interface Picture {
  readonly upMs: number
  readonly ttlSeconds: number
  readonly members: readonly MemberPicture[]
  readonly proxies: readonly ProxyPicture[]
  readonly load: LoadPicture | undefined
  readonly story: readonly Chapter[]
  /** What is going on; undefined: the demo waits for a key. */
  readonly busy: string | undefined
  readonly showsHelp: boolean
  readonly commands: readonly { readonly what: string; readonly line: string }[]
}
