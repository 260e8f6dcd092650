import assert from 'node:assert/strict'
import test from 'node:test'
import { KEPT_MAX, READ_BYTES, ReadBuffer } from '../../../src/proxy/relay/read-buffer.ts'

const COUNT = 3 * KEPT_MAX

/** Reads of so many bytes, of another content each, into buffers of their own. */
function landed(bytes: number, then: (buffer: ReadBuffer) => void): readonly Buffer[] {
  return Array.from({ length: COUNT }, (_, index) => {
    const buffer = new ReadBuffer()
    buffer.target.fill(index, 0, bytes)
    const piece = buffer.landed(bytes)
    then(buffer)
    made.push(buffer)
    return piece
  })
}

const made: ReadBuffer[] = []

test.afterEach(() => {
  for (const buffer of made.splice(0)) buffer.abandon()
  assert.equal(ReadBuffer.kept, 0)
})

for (const bytes of [5_000, READ_BYTES - 1, READ_BYTES])
  test(`many wires whose last read had ${bytes} bytes keep a bounded number of buffers`, () => {
    landed(bytes, buffer => buffer.free(bytes))
    assert.equal(ReadBuffer.kept, KEPT_MAX)
  })

for (const bytes of [5_000, READ_BYTES])
  test(`so do those that were stopped because a piece of ${bytes} bytes waits, and the pieces stay as they are`, () => {
    const pieces = landed(bytes, buffer => buffer.keepForReader())
    assert.equal(ReadBuffer.kept, KEPT_MAX)
    for (const [index, piece] of pieces.entries())
      assert.ok(piece.length === bytes && piece.every(byte => byte === index), `piece ${index}`)
  })
