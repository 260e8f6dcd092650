// Where knowledge about members and leadership comes from: etcd, or the members' own REST servers.

import type { ClusterView } from '../cluster/view.ts'

/** A running source feeds the router until its signal aborts. */
export interface Source {
  /** Runs until `signal` aborts; never rejects. */
  run(signal: AbortSignal): Promise<void>
  /** A member was probed: for sources that learn from answers. */
  onProbe(): void
  /** What is known is in doubt: look again now. */
  refresh(): void
  /** For how long nothing has answered; undefined while something does. */
  silentMs(): number | undefined
  /** The scope as last read from a store; undefined where there is none, and before the first read. */
  readonly lastView?: ClusterView | undefined
}
