// Streaming replication between two modelled servers: the receiver at the standby, the sender at its upstream. Data comes
// in batches with the network's delays; what a standby has flushed is told back the same way.

import type { SimServer } from './server.ts'

/** A connection attempt that nobody answers. */
const CONNECT_TIMEOUT_MS = 1_500
/** Without any contact for this long both sides give the connection up (wal_sender_timeout, wal_receiver_timeout). */
const SILENCE_MS = 10_000
const RETRY_MS = 250

export class Receiver {
  readonly #standby: SimServer
  #sender: Sender | undefined
  #isClosed = false
  #onLost: () => void = () => {}

  constructor(standby: SimServer) {
    this.#standby = standby
  }

  get isStreaming(): boolean {
    return this.#sender !== undefined && !this.#isClosed
  }

  /** Nothing that is still on its way to it arrives. */
  get isOver(): boolean {
    return this.#isClosed
  }

  /** Connects once; `onLost` is called when that fails or when the stream ends otherwise than by `close`. */
  connect(onLost: () => void): void {
    this.#onLost = onLost
    const { world, upstream, machine, process } = this.#standby
    const target = upstream === undefined ? undefined : world.at(upstream.address)
    if (
      target === undefined ||
      !world.network.connects(machine.name, target.machine.name) ||
      target.process.isFrozen
    ) {
      process.later(CONNECT_TIMEOUT_MS, () => this.lose())
      return
    }
    const delayMs = world.network.delayMs(machine.name, target.machine.name) * 2
    process.later(delayMs, () => {
      if (this.#isClosed) return
      const isUp = target.isServing && world.network.connects(machine.name, target.machine.name)
      if (!isUp || !mayStream(this.#standby, target)) this.lose()
      else this.#sender = new Sender(target, this.#standby, this)
    })
  }

  lose(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#onLost()
  }

  /** The standby does not want it any more. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    if (this.#standby.receiver === this) this.#standby.receiver = undefined
    this.#sender?.close()
  }
}

/** What a walsender and a walreceiver check before they begin. The model sees more, and tells when they are fooled. */
function mayStream(standby: SimServer, upstream: SimServer): boolean {
  const [own, theirs] = [standby.data, upstream.data]
  if (own === undefined || theirs === undefined || own.systemId !== theirs.systemId) return false
  // The receiver fetches the history files first, whatever comes of it.
  own.newestTimeline = Math.max(own.newestTimeline, theirs.timeline)
  if (theirs.timeline < own.timeline) return false
  if (theirs.timeline > own.timeline) {
    const left = theirs.history.find(line => line.timeline === own.timeline)
    if (left === undefined || left.switchLsn < own.endLsn) return false
  } else if (own.end > theirs.end) return false
  if (own.commonWith(theirs) < own.wal.length) {
    const says = `${standby.name} streams from ${upstream.name} on timeline ${own.timeline}, whose WAL is another`
    standby.world.listener.onCorrupted(standby, says)
  }
  return true
}

export class Sender {
  /** application_name: the member. */
  readonly name: string
  readonly standby: SimServer
  flushedEnd: number
  readonly #upstream: SimServer
  readonly #receiver: Receiver
  #sentRecords: number
  #isBusy = false
  #isClosed = false
  #silentSinceMs: number | undefined

  constructor(upstream: SimServer, standby: SimServer, receiver: Receiver) {
    this.#upstream = upstream
    this.standby = standby
    this.name = standby.name
    this.#receiver = receiver
    this.flushedEnd = standby.data?.end ?? 0
    this.#sentRecords = standby.data?.wal.length ?? 0
    // A server has one receiver: what an older stream to it still has on its way arrives nowhere.
    for (const older of upstream.senders) if (older.standby === standby) older.#drop()
    upstream.senders.add(this)
    this.pump()
    upstream.settle()
  }

  /** Has the standby told that it has everything? */
  get hasAll(): boolean {
    return this.flushedEnd >= (this.#upstream.data?.end ?? 0)
  }

  /** Sends what is new; one batch is on its way at a time. */
  pump(): void {
    const { data, world, machine, process } = this.#upstream
    if (this.#isBusy || this.#isClosed || data === undefined || data.wal.length <= this.#sentRecords) return
    this.#isBusy = true
    const [from, to] = [machine.name, this.standby.machine.name]
    if (!world.network.connects(from, to) || this.standby.process.isFrozen) {
      this.#waitForContact(() => {
        this.#isBusy = false
        this.pump()
      })
      return
    }
    this.#silentSinceMs = undefined
    const records = data.wal.slice(this.#sentRecords)
    this.#sentRecords = data.wal.length
    this.standby.process.later(world.network.delayMs(from, to), () => {
      if (this.#isClosed || this.#receiver.isOver || this.standby.data === undefined) return
      this.standby.data.receive(records, data)
      this.standby.onReceived()
      this.#feedBack(this.standby.data.end)
    })
    if (process.isDead) this.close()
  }

  /** The upstream ends the stream, or learns that the standby did. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#upstream.senders.delete(this)
    this.#upstream.settle()
    const { world, machine } = this.#upstream
    const noticeMs = world.network.connects(machine.name, this.standby.machine.name) ? 20 : SILENCE_MS
    this.standby.process.later(noticeMs, () => this.#receiver.lose())
  }

  #drop(): void {
    this.#isClosed = true
    this.#upstream.senders.delete(this)
  }

  #feedBack(flushedEnd: number): void {
    const { world, machine, process } = this.#upstream
    const [from, to] = [this.standby.machine.name, machine.name]
    if (!world.network.passes(from, to)) {
      this.#waitForContact(() => this.#feedBack(flushedEnd))
      return
    }
    process.later(world.network.delayMs(from, to), () => {
      if (this.#isClosed) return
      this.#isBusy = false
      this.flushedEnd = flushedEnd
      this.#upstream.settle()
      this.pump()
    })
  }

  #waitForContact(then: () => void): void {
    const { machine, process } = this.#upstream
    this.#silentSinceMs ??= machine.monotonicMs()
    if (machine.monotonicMs() - this.#silentSinceMs > SILENCE_MS) {
      this.close()
      return
    }
    process.later(RETRY_MS, () => {
      if (!this.#isClosed) then()
    })
  }
}
