// One process of a run: gets seeds, runs their worlds, reports.

import type { SeedReport } from './runner.ts'
import { trySeed } from './seed.ts'

process.on('message', (seed: number) => {
  void trySeed(seed).then(({ failure, world }) => {
    const report: SeedReport = { seed, failure, counts: world.counts.toJson() }
    process.send?.(report)
  })
})
process.on('disconnect', () => process.exit(0))
