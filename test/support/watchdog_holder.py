"""The same as watchdog-holder.ts, by the class of the installed Patroni. Usage: watchdog_holder.py DEVICE TIMEOUT_SECONDS"""
import signal
import sys
import time

from patroni.watchdog.linux import LinuxWatchdogDevice

device = LinuxWatchdogDevice(sys.argv[1])
device.open()
device.set_timeout(int(sys.argv[2]))


def leave(*_):
    device.close()
    sys.exit(0)


signal.signal(signal.SIGTERM, leave)
while True:
    device.keepalive()
    time.sleep(0.2)
