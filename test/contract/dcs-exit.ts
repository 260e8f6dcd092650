// Run by dcs-edge-suite.ts as a process: uses a store, closes it, and must then end without being told to.

import { by, connect } from './dcs-rig.ts'
import { WatchReader } from './dcs-watch-reader.ts'

const [transport, ...endpoints] = process.argv.slice(2)
const dcs = connect(endpoints, { transport: transport === 'http' ? 'http' : 'grpc' })
const watch = new WatchReader(dcs, 2)
await Promise.all([
  dcs.read(by(1_500)).catch(() => undefined),
  dcs.keepAlive(1n, by(1_500)),
  dcs.write([], [{ kind: 'put', key: 'leader', value: 'x' }], by(1_500)),
])
await dcs.close()
await watch.over
const closedAtMs = performance.now()
process.on('exit', () => console.log(`closed for ${Math.round(performance.now() - closedAtMs)} ms`))
