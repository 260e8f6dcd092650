// Follows whether interfaces can carry traffic, by the kernel's own announcements (rtnetlink). Needs no capability.

import type { DescriptorWatch, NativeLibrary } from '../../platform/native.ts'

/** `missing`: there is no such interface. `down`: switched off, or without a cable. */
export type LinkState = 'up' | 'down' | 'missing'

const AF_NETLINK = 16
const SOCK_RAW_NONBLOCKING = 3 | 0x800 | 0x80000
const GROUP_LINK = 1
const NEW_LINK = 16
const DELETE_LINK = 17
const GET_LINK = 18
const REQUEST_DUMP = 0x301
const HEAD_BYTES = 16
const BODY_BYTES = 16
const ATTRIBUTE_NAME = 3
const IS_UP = 0x1
const IS_RUNNING = 0x40
const BUFFER_BYTES = 64 * 1024
const MESSAGES_MAX = 256

/** One message of the kernel about an interface. */
export interface LinkNews {
  readonly name: string
  readonly state: LinkState
}

/** Reads a packet of rtnetlink. Never throws; what it does not know is left out. */
export function readLinkNews(packet: Buffer): readonly LinkNews[] {
  const news: LinkNews[] = []
  for (let at = 0; at + HEAD_BYTES <= packet.length; ) {
    const length = packet.readUInt32LE(at)
    if (length < HEAD_BYTES || at + length > packet.length) break
    const type = packet.readUInt16LE(at + 4)
    const message = packet.subarray(at, at + length)
    if ((type === NEW_LINK || type === DELETE_LINK) && length >= HEAD_BYTES + BODY_BYTES) {
      const name = nameOf(message.subarray(HEAD_BYTES + BODY_BYTES))
      const flags = message.readUInt32LE(HEAD_BYTES + 8)
      const isUp = (flags & IS_UP) !== 0 && (flags & IS_RUNNING) !== 0
      if (name !== undefined)
        news.push({ name, state: type === DELETE_LINK ? 'missing' : isUp ? 'up' : 'down' })
    }
    at += (length + 3) & ~3
  }
  return news
}

function nameOf(attributes: Buffer): string | undefined {
  for (let at = 0; at + 4 <= attributes.length; ) {
    const length = attributes.readUInt16LE(at)
    if (length < 4 || at + length > attributes.length) return undefined
    if (attributes.readUInt16LE(at + 2) === ATTRIBUTE_NAME) {
      return attributes.toString('latin1', at + 4, at + length).replace(/\0.*$/s, '')
    }
    at += (length + 3) & ~3
  }
  return undefined
}

/** Tells the state of every interface once, and each change from then on. */
export class LinkWatch {
  readonly #onNews: (news: LinkNews) => void
  readonly #receive: (data: Buffer) => number
  readonly #close: () => void
  readonly #watch: DescriptorWatch
  readonly #buffer = Buffer.alloc(BUFFER_BYTES)

  constructor(library: NativeLibrary, onNews: (news: LinkNews) => void) {
    this.#onNews = onNews
    const receive = library.bind('int64_t recv(int fd, _Out_ void *data, size_t size, int flags)')
    const send = library.bind('int64_t send(int fd, const void *data, size_t size, int flags)')
    const bind = library.bind('int bind(int fd, const void *address, uint32_t length)')
    const close = library.bind('int close(int fd)')
    const open = library.bind('int socket(int domain, int type, int protocol)')
    const descriptor = open(AF_NETLINK, SOCK_RAW_NONBLOCKING, 0)
    const address = Buffer.alloc(12)
    address.writeUInt16LE(AF_NETLINK, 0)
    address.writeUInt32LE(GROUP_LINK, 8)
    bind(descriptor, address, address.length)
    this.#receive = data => Number(receive(descriptor, data, data.length, 0))
    this.#close = () => void close(descriptor)
    this.#watch = library.watch(descriptor, () => this.#read())
    this.#ask = () => void send(descriptor, dumpRequest(), HEAD_BYTES + BODY_BYTES, 0)
    this.#ask()
  }

  readonly #ask: () => void

  stop(): void {
    this.#watch.stop()
    this.#close()
  }

  #read(): void {
    for (let messages = 0; messages < MESSAGES_MAX; messages += 1) {
      let size: number
      try {
        size = this.#receive(this.#buffer)
      } catch (error) {
        // News were lost (ENOBUFS): everything is asked again. Otherwise nothing is left to read.
        if (String(error).includes('ENOBUFS')) this.#ask()
        return
      }
      for (const news of readLinkNews(this.#buffer.subarray(0, size))) this.#onNews(news)
    }
  }
}

function dumpRequest(): Buffer {
  const request = Buffer.alloc(HEAD_BYTES + BODY_BYTES)
  request.writeUInt32LE(request.length, 0)
  request.writeUInt16LE(GET_LINK, 4)
  request.writeUInt16LE(REQUEST_DUMP, 6)
  request.writeUInt32LE(1, 8)
  return request
}
