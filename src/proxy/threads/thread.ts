// Where a worker thread begins. It is a program of its own in dist, so that it loads no more than it needs.

import { parentPort, workerData } from 'node:worker_threads'
import { ThreadClock } from '../../platform/clock.ts'
import { WheelClock } from '../../platform/timer-wheel.ts'
import { openHandleTransport } from '../relay/handle.ts'
import { openNetTransport } from '../relay/net.ts'
import { waitForOthers } from '../relay/reset-soon.ts'
import { Batch } from './batch.ts'
import { CutBoard } from './cut-board.ts'
import type { Order, Report, ThreadData } from './messages.ts'
import { ThreadSheet } from './thread-sheet.ts'
import { WorkerHost } from './worker-host.ts'

function run(): void {
  const port = parentPort
  if (port === null) throw new Error('this is a part of pgherd proxy, which starts it as a thread of its own')
  const { relay, zeroMs, sheet, board: boardMemory, number } = workerData as ThreadData
  const batch = new Batch<Report>(port)
  const clock = new WheelClock(new ThreadClock(zeroMs))
  // The control thread has tried the handles out; here it is enough that they are there.
  const transport = relay === 'handle' ? openHandleTransport(clock) : openNetTransport(clock)
  if (typeof transport === 'string') {
    batch.post({ tells: 'ready', problem: transport })
    return
  }
  const board = new CutBoard(boardMemory)
  waitForOthers(() => board.isPending())
  const host = new WorkerHost({
    clock,
    transport,
    sheet: new ThreadSheet(sheet),
    batch,
    // One at a time: those whose turn is later keep every thread's resets waiting.
    onClosed: () => board.told(number, 1),
  })
  port.on('message', (orders: readonly Order[]) => host.take(orders))
  batch.post({ tells: 'ready' })
}

run()
