import assert from 'node:assert/strict'
import test from 'node:test'
import { readOptions } from '../../../bench/profile/options.ts'
import { printWork, shortened, topSymbols } from '../../../bench/profile/text.ts'

const report = `# Samples: 3K of event 'cpu-clock:ppp'
#
# Overhead  Shared Object        Symbol                                    IPC   [IPC Coverage]
# ........  ...................  ........................................  ....................
#
    21.48%  [kernel.kallsyms]    [k] pvm_irq_enable                        -      -
     1.07%  [JIT] tid 8079       [.] JS:*'onRead file:///tmp/pgherd-bench-x1/prefix/dist/carry-B.js:632:16   -      -
     0.30%  node                 [.] v8::internal::Scavenger

# (Tip: something)
`

test('a profile keeps the largest symbols of a report, and no path, pid or thread of this machine', () => {
  assert.deepEqual(topSymbols(report, 2), [
    '    21.48%  [kernel.kallsyms]    [k] pvm_irq_enable',
    "     1.07%  [JIT]                [.] JS:*'onRead carry-B.js:632:16",
  ])
  assert.equal(topSymbols(report, 40).length, 3)
  assert.equal(
    shortened('open /tmp/perf-123.map failed: see /proc/sys/kernel'),
    'open perf-PID.map failed: see kernel',
  )
  assert.equal(shortened('a/b 1/2'), 'a/b 1/2')
})

test('a profile says how much was done in a second', () => {
  assert.equal(printWork({ operations: 5000, seconds: 0.25 }), '5000 in 0.25 s, 20000 a second')
})

test('a profile is made of one workload, and an unknown one is refused with the names of all', () => {
  assert.deepEqual(readOptions(['cut']), { workload: 'cut', seconds: 5 })
  assert.deepEqual(readOptions(['echo', '--seconds', '2']), { workload: 'echo', seconds: 2 })
  assert.equal(readOptions(['--help']), undefined)
  assert.throws(() => readOptions(['bulk']), /expected one of connects, cut, echo, found bulk/)
  assert.throws(() => readOptions([]), /expected one of connects, cut, echo, found nothing/)
})
