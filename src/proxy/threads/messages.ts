// What the control thread and a worker thread tell each other. Wires have a number that is theirs within their worker: the
// worker counts accepted ones up from 1, the control thread those that it has dialed down from -1. A relay has the number of
// its client's wire. A session costs about ten messages; its bytes, from its first answer on, cost none.

import type { HostPort } from '../../cluster/member.ts'
import type { SessionTimeouts } from '../../config/proxy/types.ts'
import type { IdleReason } from '../idle-watch.ts'
import type { Endpoints } from '../proxy-protocol.ts'
import type { CloseKind, HalfClose, RelayCounters, RelayEnd } from '../relay/relay.ts'
import type { DialOptions, ListenOptions, ServeOptions } from '../relay/wire.ts'
import type { FirstPacket } from '../startup.ts'

/** What a worker thread is started with. */
export interface ThreadData {
  readonly relay: 'net' | 'handle'
  /** The zero of the control thread's monotonic clock. */
  readonly zeroMs: number
  /** Which of the threads, from 1. */
  readonly number: number
  /** See ThreadSheet. */
  readonly sheet: SharedArrayBuffer
  /** See CutBoard. */
  readonly board: SharedArrayBuffer
}

/** From the control thread. */
export type Order =
  | {
      readonly do: 'listen'
      readonly server: number
      readonly serve: ServeOptions
      readonly listen: ListenOptions
    }
  | { readonly do: 'stop-listening'; readonly server: number }
  | { readonly do: 'write'; readonly wire: number; readonly bytes: Uint8Array }
  /** `drain`: what still comes is read and dropped. */
  | { readonly do: 'end' | 'drain' | 'destroy' | 'reset' | 'abort'; readonly wire: number }
  | {
      readonly do: 'dial'
      readonly wire: number
      readonly address: HostPort
      readonly options: Omit<DialOptions, 'beside'>
    }
  | { readonly do: 'gate'; readonly gate: number; readonly memory: SharedArrayBuffer }
  | { readonly do: 'forget-gate'; readonly gate: number }
  | CarryOrder
  | { readonly do: 'close'; readonly wire: number; readonly kind: CloseKind; readonly words?: Uint8Array }
  | { readonly do: 'close-if-idle'; readonly wire: number; readonly words: Uint8Array }
  | { readonly do: 'hold-when-idle'; readonly wire: number; readonly isOn: boolean }

export interface CarryOrder {
  readonly do: 'carry'
  /** The client's. */
  readonly wire: number
  readonly server: number
  readonly gate: number
  readonly serverName: string
  readonly isWrite: boolean
  readonly timeouts: SessionTimeouts
  readonly first: FirstPacket
  /** So many bytes of what the client sent were a PROXY header: they are not for the server. */
  readonly skipBytes: number
}

/** From a worker thread. */
export type Report =
  | { readonly tells: 'ready'; readonly problem?: string }
  | { readonly tells: 'listening'; readonly server: number }
  | {
      readonly tells: 'not-listening'
      readonly server: number
      readonly code?: string
      readonly message: string
    }
  | {
      readonly tells: 'accepted'
      readonly server: number
      readonly wire: number
      readonly endpoints: Endpoints
    }
  | { readonly tells: 'data'; readonly wire: number; readonly bytes: Uint8Array }
  | { readonly tells: 'end'; readonly wire: number }
  | { readonly tells: 'broken'; readonly wire: number }
  | { readonly tells: 'closed'; readonly wire: number }
  | { readonly tells: 'connected'; readonly wire: number }
  | {
      readonly tells: 'not-connected'
      readonly wire: number
      readonly code?: string
      readonly message: string
    }
  | { readonly tells: 'cancel-key'; readonly wire: number; readonly key: string }
  | { readonly tells: 'refused'; readonly wire: number; readonly why: string }
  | { readonly tells: 'idle'; readonly wire: number; readonly why: IdleReason }
  | { readonly tells: 'half-closed'; readonly wire: number; readonly why: HalfClose }
  | { readonly tells: 'ending'; readonly wire: number; readonly why: RelayEnd }
  | { readonly tells: 'over'; readonly wire: number; readonly counters: RelayCounters }
  /** Six numbers for each relay that has moved bytes since the last time: see FIGURES. */
  | { readonly tells: 'moved'; readonly figures: Float64Array }
  | { readonly tells: 'slept' }

/** Wire, bytes to the server, bytes to the client, time of the last of them, 1 when idle, 1 when the last were the client's. */
export const FIGURES = 6

/** A copy in memory of its own: a message takes the whole memory that a view looks into. */
export function copied(bytes: Buffer): Uint8Array {
  return new Uint8Array(bytes)
}

/** The bytes of a message, as we handle bytes. */
export function received(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
