// Holds a watchdog and feeds it, for tests that stop or kill it. Usage: watchdog-holder.ts DEVICE TIMEOUT_SECONDS

import { realClock } from '../../src/platform/clock.ts'
import { Deadline } from '../../src/platform/deadline.ts'
import { LinuxWatchdog } from '../../src/platform/watchdog-device.ts'

const FEED_EVERY_MS = 200
const CALL_MS = 5_000

const [path = '', seconds = ''] = process.argv.slice(2)
const device = new LinuxWatchdog(path)
const by = () => Deadline.in(realClock, CALL_MS)
await device.open(by())
await device.setTimeoutSeconds(Number(seconds), by())
setInterval(() => void device.keepalive(by()), FEED_EVERY_MS)
process.on('SIGTERM', () => {
  void device.disarm(by()).then(() => process.exit(0))
})
