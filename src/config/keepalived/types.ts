// What a keepalived.conf asks for, in our words: the instances of VRRP with their addresses, checks and commands.

/** An address to hold, as the file names it. */
export interface KeepalivedAddress {
  readonly address: string
  readonly prefixLength: number
  /** The instance's interface unless `dev` says another. */
  readonly interfaceName: string
  readonly label: string | undefined
}

/** A question that an instance's priority depends on. */
export type CheckQuestion =
  /** Is a process of this name alive? `isSelf`: it is what this very process stands for. */
  | {
      readonly kind: 'process'
      readonly name: string
      /** Is a part of the name enough, as for pgrep without -x? */
      readonly isPart: boolean
      readonly isSelf: boolean
    }
  | { readonly kind: 'pid-file'; readonly file: string }
  | {
      readonly kind: 'http'
      readonly url: string
      readonly method: string
      /** Good answers; undefined: every answer is good, because nobody looks at it. */
      readonly statuses: 'below-400' | readonly number[] | undefined
      /** The body must contain this text. */
      readonly contains: string | undefined
      /** False: any certificate will do. */
      readonly verifies: boolean
    }
  /** Anything else is run: the words without a shell, or the text by a shell. */
  | { readonly kind: 'command'; readonly words: readonly string[] }
  | { readonly kind: 'shell'; readonly text: string }

/** A vrrp_script. */
export interface KeepalivedCheck {
  readonly name: string
  readonly line: number
  readonly question: CheckQuestion
  /** As it stands in the file. */
  readonly text: string
  readonly intervalMs: number
  readonly timeoutMs: number
  readonly rise: number
  readonly fall: number
  readonly startsFailed: boolean
}

/** A check as an instance uses it. Weight 0: a fault when it fails. */
export interface TrackedCheck {
  readonly check: string
  readonly weight: number
  readonly isReversed: boolean
}

export interface TrackedInterface {
  readonly interfaceName: string
  readonly weight: number
  readonly isReversed: boolean
}

/** Commands that are told about changes, run without a shell. */
export interface NotifyCommands {
  readonly master: readonly string[] | undefined
  readonly backup: readonly string[] | undefined
  readonly fault: readonly string[] | undefined
  readonly stop: readonly string[] | undefined
  /** Gets `INSTANCE name STATE priority` as further words. */
  readonly any: readonly string[] | undefined
}

/** A vrrp_instance. */
export interface VrrpInstanceConfig {
  readonly name: string
  readonly line: number
  readonly interfaceName: string
  readonly family: 4 | 6
  readonly version: 2 | 3
  readonly routerId: number
  readonly priority: number
  readonly startsAs: 'backup' | 'master'
  readonly advertMs: number
  readonly missingAdverts: number
  readonly preempts: boolean
  readonly preemptDelayMs: number
  /** PASS authentication of version 2: one character for each of its eight bytes at most. */
  readonly password: string | undefined
  /** Sender of the adverts; the interface's first address unless said. */
  readonly sourceAddress: string | undefined
  readonly group: string
  readonly peers: readonly string[] | undefined
  readonly checksPeer: boolean
  /** Told in adverts. */
  readonly addresses: readonly KeepalivedAddress[]
  /** Held with them, but not told. */
  readonly excluded: readonly KeepalivedAddress[]
  readonly answersLower: boolean
  readonly answersHigher: boolean
  /** Is version 3 on IPv4 summed without a pseudo header? */
  readonly sumsMessageOnly: boolean
  readonly followsOwnLink: boolean
  readonly trackedChecks: readonly TrackedCheck[]
  readonly trackedInterfaces: readonly TrackedInterface[]
  readonly notify: NotifyCommands
}

/** One keepalived.conf. */
export interface KeepalivedConfig {
  readonly file: string
  readonly routerName: string | undefined
  readonly startDelayMs: number
  readonly instances: readonly VrrpInstanceConfig[]
  readonly checks: ReadonlyMap<string, KeepalivedCheck>
}
