// The word of the leader's agent that its term ends, where the term went on under another revision of the key.

import assert from 'node:assert/strict'
import test from 'node:test'
import { EvidenceBook } from '../../../src/proxy/evidence-book.ts'
import { led, limits, readPool, timing } from './facts.ts'

const book = () =>
  new EvidenceBook({ limits, timing, pools: [readPool], needsPing: false, onDcsLoss: 'keep' })

test('a leader that took its vanished key again names the revision under which its term goes on', () => {
  const made = book()
  made.announced({ createRevision: 9n, drainMs: 5000 }, 12n, 0)
  assert.equal(made.isClosing(led('pg1', 4, { continuedAs: 9n }), 100), true)
  assert.equal(made.isClosing(led('pg1', 4, { continuedAs: 7n }), 100), false)
  assert.equal(made.isClosing(led('pg1', 4), 100), false)
  assert.equal(made.isClosing(led('pg1', 9), 100), true)
})

test('a word that is read again counts from the first time', () => {
  const made = book()
  made.announced({ createRevision: 4n, drainMs: undefined }, 12n, 0)
  made.announced({ createRevision: 4n, drainMs: undefined }, 12n, 10_000)
  assert.equal(made.isClosing(led('pg1', 4), 14_999), true)
  assert.equal(made.isClosing(led('pg1', 4), 15_000), false)
})
