// Where reads land, so that an idle session needs no buffer and a busy one does not copy. All wires read into one shared
// buffer. A small piece moves from there into a slab and is written from it; a large one moves once into a buffer of its
// wire's own, which then is the one that the wire reads into.

/** Of one read. */
export const READ_BYTES = 64 * 1024
/** Pieces up to this size are copied: that costs less than a buffer for each session. */
const SMALL_BYTES = 4096
/** Own buffers of wires that keep them from one read to the next; more are only lent for one read, or until it is written. */
export const KEPT_MAX = 64
const SPARE_MAX = 32

/** Every wire reads into it at first. Its content counts for the moment of the read only. */
const shared = Buffer.allocUnsafeSlow(READ_BYTES)
const sharedViews: Buffer[] = []
let slab = Buffer.allocUnsafeSlow(SMALL_BYTES)
let slabViews: Buffer[] = []
const spare: Buffer[] = []
let kept = 0

/** The buffer of one wire's reads. */
export class ReadBuffer {
  #own: Buffer | undefined

  /** How many own buffers wires keep at present: KEPT_MAX at most, but for the one whose read is being dealt with. */
  static get kept(): number {
    return kept
  }

  /** Where the next read must go. */
  get target(): Buffer {
    return this.#own ?? shared
  }

  /** The first `count` bytes of the target, in a place that no other wire's read touches. */
  landed(count: number): Buffer {
    if (this.#own !== undefined) {
      return count === READ_BYTES ? this.#own : this.#own.subarray(0, count)
    }
    if (count > SMALL_BYTES) {
      this.#own = spare.pop() ?? Buffer.allocUnsafeSlow(READ_BYTES)
      kept += 1
      shared.copy(this.#own, 0, 0, count)
      return this.#own.subarray(0, count)
    }
    const view = viewOf(slab, slabViews, count)
    view.set(viewOf(shared, sharedViews, count))
    return view
  }

  /** After the bytes were dealt with and nobody needs them any more. */
  free(count: number): void {
    if (this.#own === undefined) return
    if (count <= SMALL_BYTES || kept > KEPT_MAX) this.release()
  }

  /**
   * After a read whose bytes are still needed, so that its wire was stopped: a slow reader, who may take his time, and
   * then have nothing more to come. Whoever needs the bytes keeps their memory; beyond the bound this wire does not.
   */
  keepForReader(): void {
    if (kept > KEPT_MAX) this.abandon()
  }

  /** The wire reads no more, or begins anew; nobody needs its bytes. */
  release(): void {
    if (this.#own === undefined) return
    if (spare.length < SPARE_MAX) spare.push(this.#own)
    this.#own = undefined
    kept -= 1
  }

  /** As `release`, for a buffer that a write may still need. */
  abandon(): void {
    if (this.#own === undefined) return
    this.#own = undefined
    kept -= 1
  }
}

/** The first `count` bytes; views are kept, because making one costs more than copying a small piece. */
function viewOf(buffer: Buffer, views: Buffer[], count: number): Buffer {
  const known = views[count]
  if (known !== undefined) return known
  const view = buffer.subarray(0, count)
  views[count] = view
  return view
}

/** These bytes are needed for longer than the step that read them: if they lie in the slab, it is theirs from now on. */
export function keepForLater(bytes: Buffer): void {
  if (bytes.buffer !== slab.buffer) return
  slab = Buffer.allocUnsafeSlow(SMALL_BYTES)
  slabViews = []
}
