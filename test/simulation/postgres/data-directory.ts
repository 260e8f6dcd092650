// What a modelled server has on its disk: WAL as a list of records, the history of timelines, the control file. Records
// are shared objects, so that two histories can be compared by identity, which no real server can.

import type { HistoryLine } from '../../../src/cluster/history.ts'
import type { Lsn, Timeline } from '../../../src/cluster/lsn.ts'
import type { Lineage } from '../../../src/postgres/fork-point.ts'

/** A write of a client. */
export interface ClientWrite {
  readonly id: number
  /** Some client was told that it is durable. */
  isAcknowledged: boolean
}

export interface WalRecord {
  /** Its place in every history that has it. */
  readonly index: number
  /** Position after it. */
  readonly end: number
  readonly timeline: Timeline
  readonly kind: 'begin' | 'write' | 'checkpoint' | 'end-of-recovery'
  readonly write: ClientWrite | undefined
  /** Which promotion it was written under. */
  readonly reign: number
}

export type ControlState =
  | 'in production'
  | 'in crash recovery'
  | 'in archive recovery'
  | 'shut down'
  | 'shut down in recovery'

const FIRST_POSITION = 16_777_256
const BYTES: Readonly<Record<WalRecord['kind'], number>> = {
  begin: 0,
  write: 200,
  checkpoint: 120,
  'end-of-recovery': 50,
}

export class DataDirectory {
  readonly systemId: string
  readonly wal: WalRecord[] = []
  history: HistoryLine[] = []
  timeline: Timeline = 1
  /** The newest timeline that this server has heard of: it will not use its number again. */
  newestTimeline: Timeline = 1
  control: ControlState = 'in production'
  /** A copy or a rewound directory takes no connections before it has replayed up to here. */
  consistentAt = 0
  /** A rewind was interrupted: the files do not fit each other. */
  isBroken = false
  /** The promotion under which this server last was a primary. */
  reign = 0
  /** The timeline of the latest checkpoint: what pg_rewind reads on its source. */
  checkpointTimeline: Timeline = 1

  constructor(systemId: string) {
    this.systemId = systemId
    this.wal.push({
      index: 0,
      end: FIRST_POSITION,
      timeline: 1,
      kind: 'begin',
      write: undefined,
      reign: 0,
    })
  }

  get end(): number {
    return this.last.end
  }

  get endLsn(): Lsn {
    return BigInt(this.end)
  }

  get last(): WalRecord {
    const last = this.wal.at(-1)
    if (last === undefined) throw new Error('a data directory without WAL')
    return last
  }

  get lineage(): Lineage {
    return { timeline: this.timeline, history: this.history }
  }

  has(record: WalRecord): boolean {
    return this.wal[record.index] === record
  }

  append(kind: WalRecord['kind'], write: ClientWrite | undefined): WalRecord {
    const { end, index } = this.last
    const record = {
      index: index + 1,
      end: end + BYTES[kind],
      timeline: this.timeline,
      kind,
      write,
      reign: this.reign,
    }
    this.wal.push(record)
    return record
  }

  /** Takes records that a receiver got, and the history that leads to their timeline. */
  receive(records: readonly WalRecord[], source: DataDirectory): void {
    for (const record of records) {
      if (record.index !== this.last.index + 1) throw new Error('the model streams with a gap')
      this.wal.push(record)
    }
    const { timeline } = this.last
    if (timeline === this.timeline) return
    this.timeline = timeline
    this.history = source.history.filter(line => line.timeline < timeline)
    this.newestTimeline = Math.max(this.newestTimeline, timeline)
  }

  /** Begins a new timeline at the end of the WAL. */
  branch(reign: number, reason: string): void {
    const next = Math.max(this.timeline, this.newestTimeline) + 1
    const line = {
      timeline: this.timeline,
      switchLsn: this.endLsn,
      reason,
      time: undefined,
      newLeader: undefined,
    }
    this.history = [...this.history, line]
    this.timeline = next
    this.newestTimeline = next
    this.reign = reign
    this.control = 'in production'
    this.append('end-of-recovery', undefined)
  }

  /** Where the WAL of this server and of another stop being the same: the number of records in common. */
  commonWith(other: DataDirectory): number {
    let common = Math.min(this.wal.length, other.wal.length)
    while (common > 0 && this.wal[common - 1] !== other.wal[common - 1]) common -= 1
    return common
  }

  /** A copy of another server's files: usable once its WAL up to `consistentAt` is replayed. */
  static copyOf(source: DataDirectory, records: number): DataDirectory {
    const copy = new DataDirectory(source.systemId)
    copy.wal.length = 0
    copy.wal.push(...source.wal.slice(0, records))
    copy.takeTimelineOf(source)
    copy.control = 'in archive recovery'
    return copy
  }

  /** Sets timeline and history by the last record, as `source` tells them. */
  takeTimelineOf(source: DataDirectory): void {
    const { timeline } = this.last
    this.timeline = timeline
    this.history = source.history.filter(line => line.timeline < timeline)
    this.newestTimeline = Math.max(this.newestTimeline, timeline)
    this.checkpointTimeline = Math.min(source.checkpointTimeline, timeline)
  }
}
