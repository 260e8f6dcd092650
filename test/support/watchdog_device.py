#!/usr/bin/env python3
"""A stand-in for /dev/watchdog: one file in a file system of our own (FUSE), whose ioctls answer as the kernel's softdog does.

It speaks the kernel's protocol itself, so nothing but python3 and /dev/fuse is needed. Each thing that happens is one line of
JSON on standard output: {"ms": monotonic milliseconds, "what": opened|timeout|fed|disarmed|left-counting|fired, ...}. Commands
come as words on standard input: `hang` (calls get no answer until `answer`), `nowayout` (it cannot be disarmed any more),
`fixed N` (the timeout is N and cannot be set), `watch PID...` (at the farewell, before it is answered, it looks which of them
still live; `disarmed` names them).

Usage: watchdog_device.py MOUNT_POINT NAME
The file belongs to everybody. It ends when its standard input does.
"""
import ctypes
import errno
import json
import os
import select
import stat
import struct
import sys
import time

LOOKUP, FORGET, GETATTR, SETATTR, OPEN, WRITE, STATFS, RELEASE, FLUSH, INIT, ACCESS, INTERRUPT, DESTROY, IOCTL = (
    1, 2, 3, 4, 14, 16, 17, 18, 25, 26, 34, 36, 38, 39)
BATCH_FORGET = 42
IN_HEADER = struct.Struct('<IIQQIIIHH')
OUT_HEADER = struct.Struct('<IiQ')
ATTR = struct.Struct('<QQQQQQIIIIIIIIII')
ROOT, FILE = 1, 2
LONG = 3600

GET_SUPPORT, KEEPALIVE, SET_TIMEOUT, GET_TIMEOUT, GET_TIMELEFT = (
    0x80285700, 0x80045705, 0xC0045706, 0x80045707, 0x8004570A)
SETTIMEOUT, MAGICCLOSE, KEEPALIVEPING = 0x80, 0x100, 0x8000


def lives(pid):
    try:
        with open(f'/proc/{pid}/stat') as file:
            return file.read().rsplit(')', 1)[1].split()[0] not in 'ZX'
    except OSError:
        return False


def tell(what, **facts):
    print(json.dumps({'ms': round(time.monotonic() * 1000), 'what': what, **facts}), flush=True)


class Watchdog:
    """What the kernel's driver does."""

    def __init__(self):
        self.timeout = 60
        self.fed_at = None
        self.is_open = False
        self.magic = False
        self.nowayout = False
        self.fixed = False
        self.watched, self.alive = [], []

    def feed(self, quiet=False):
        self.fed_at = time.monotonic()
        if not quiet:
            tell('fed')

    def left(self):
        return None if self.fed_at is None else self.fed_at + self.timeout - time.monotonic()

    def open(self):
        if self.is_open:
            return -errno.EBUSY
        self.is_open, self.magic = True, False
        self.feed(quiet=True)
        tell('opened')
        return 0

    def write(self, data):
        self.magic = b'V' in data
        if self.magic:
            self.alive = [pid for pid in self.watched if lives(pid)]
        self.feed(quiet=self.magic)

    def release(self):
        self.is_open = False
        if self.magic and not self.nowayout:
            self.fed_at = None
            tell('disarmed', alive=self.alive)
        else:
            tell('left-counting', seconds=round(self.left() or 0, 1))

    def options(self):
        return KEEPALIVEPING | (0 if self.fixed else SETTIMEOUT) | (0 if self.nowayout else MAGICCLOSE)

    def ioctl(self, request, data):
        """(negative errno or 0, answer)"""
        if request == GET_SUPPORT:
            return 0, struct.pack('<II32s', self.options(), 1, b'Stand-in watchdog')
        if request == SET_TIMEOUT:
            if self.fixed:
                return -errno.EOPNOTSUPP, b''
            self.timeout = struct.unpack('<i', data)[0]
            self.feed(quiet=True)
            tell('timeout', seconds=self.timeout)
            return 0, struct.pack('<i', self.timeout)
        if request == GET_TIMEOUT:
            return 0, struct.pack('<i', self.timeout)
        if request == GET_TIMELEFT:
            return 0, struct.pack('<i', int(self.left() or 0))
        if request == KEEPALIVE:
            self.feed()
            return 0, struct.pack('<i', 0)
        return -errno.ENOTTY, b''

    def look(self):
        left = self.left()
        if left is not None and left <= 0:
            self.fed_at = None
            tell('fired', after=self.timeout)


class FileSystem:
    def __init__(self, fuse, name):
        self.fuse, self.name, self.dog = fuse, name.encode(), Watchdog()
        self.hangs, self.waiting = False, []

    def reply(self, unique, error=0, data=b''):
        os.write(self.fuse, OUT_HEADER.pack(OUT_HEADER.size + len(data), error, unique) + data)

    def attributes(self, node):
        mode = stat.S_IFDIR | 0o755 if node == ROOT else stat.S_IFREG | 0o666
        return ATTR.pack(node, 0, 0, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)

    def serve(self):
        try:
            message = os.read(self.fuse, 1 << 20)
        except OSError as error:
            if error.errno == errno.ENODEV:
                sys.exit(0)
            raise
        _length, opcode, unique, node, *_ = IN_HEADER.unpack_from(message)
        body = message[IN_HEADER.size:]
        if self.hangs and opcode in (OPEN, WRITE, IOCTL):
            self.waiting.append((opcode, unique, node, body))
        else:
            self.handle(opcode, unique, node, body)

    def handle(self, opcode, unique, node, body):
        if opcode == INIT:
            major, _minor, readahead = struct.unpack_from('<III', body)
            self.reply(unique, 0, struct.pack('<IIIIHHIIHHI7I', major, 31, readahead, 0, 12, 10, 4096, 1, 0, 0, 0, *[0] * 7))
        elif opcode == LOOKUP:
            if node != ROOT or body.rstrip(b'\0') != self.name:
                self.reply(unique, -errno.ENOENT)
            else:
                self.reply(unique, 0, struct.pack('<QQQQII', FILE, 1, LONG, LONG, 0, 0) + self.attributes(FILE))
        elif opcode in (GETATTR, SETATTR):
            self.reply(unique, 0, struct.pack('<QII', LONG, 0, 0) + self.attributes(node))
        elif opcode == OPEN:
            error = self.dog.open() if node == FILE else -errno.EACCES
            # 1: no page cache between the writer and us; 4: there are no positions.
            self.reply(unique, error, b'' if error else struct.pack('<QII', 1, 1 | 4, 0))
        elif opcode == WRITE:
            _handle, _offset, size = struct.unpack_from('<QQI', body)
            self.dog.write(body[40:40 + size])
            self.reply(unique, 0, struct.pack('<II', size, 0))
        elif opcode == IOCTL:
            _handle, _flags, request, _arg, in_size, _out_size = struct.unpack_from('<QIIQII', body)
            error, data = self.dog.ioctl(request, body[32:32 + in_size])
            self.reply(unique, error, b'' if error else struct.pack('<iIII', 0, 0, 0, 0) + data)
        elif opcode == RELEASE:
            self.dog.release()
            self.reply(unique)
        elif opcode == STATFS:
            self.reply(unique, 0, struct.pack('<QQQQQIIII6I', 0, 0, 0, 1, 0, 4096, 255, 4096, 0, *[0] * 6))
        elif opcode in (FLUSH, ACCESS, DESTROY):
            self.reply(unique)
        elif opcode not in (FORGET, BATCH_FORGET, INTERRUPT):
            self.reply(unique, -errno.ENOSYS)

    def order(self, words):
        if words[0] == 'hang':
            self.hangs = True
        elif words[0] == 'answer':
            self.hangs = False
            for waiting in self.waiting:
                self.handle(*waiting)
            self.waiting = []
        elif words[0] == 'nowayout':
            self.dog.nowayout = True
        elif words[0] == 'watch':
            self.dog.watched = [int(pid) for pid in words[1:]]
        elif words[0] == 'fixed':
            self.dog.timeout, self.dog.fixed = int(words[1]), True
        tell('ordered', order=words[0])


def main():
    point, name = sys.argv[1:3]
    libc = ctypes.CDLL(None, use_errno=True)
    fuse = os.open('/dev/fuse', os.O_RDWR)
    options = f'fd={fuse},rootmode=40000,user_id=0,group_id=0,allow_other'
    if libc.mount(b'watchdog', point.encode(), b'fuse', 0, options.encode()) != 0:
        raise OSError(ctypes.get_errno(), f'mount on {point}')
    system = FileSystem(fuse, name)
    tell('ready')
    poll = select.poll()
    poll.register(fuse, select.POLLIN)
    poll.register(0, select.POLLIN | select.POLLHUP)
    while True:
        for descriptor, _events in poll.poll(20):
            if descriptor == fuse:
                system.serve()
                continue
            text = os.read(0, 4096).decode()
            if text == '':
                libc.umount2(point.encode(), 2)
                return
            for line in text.splitlines():
                system.order(line.split())
        system.dog.look()


if __name__ == '__main__':
    main()
