// Follows whether interfaces can carry traffic, by the kernel's own announcements (rtnetlink). Needs no capability.

import type { Clock, Timer } from '../../platform/clock.ts'
import { NativeSocket } from '../native-socket.ts'
import {
  AF_NETLINK,
  NLM_F_DUMP,
  NLM_F_REQUEST,
  parseAttributes,
  parseMessages,
  printMessage,
  SOCK_RAW,
} from '../netlink.ts'

/** `missing`: there is no such interface. `down`: switched off, or without a cable. */
export type LinkState = 'up' | 'down' | 'missing'

/** What is known of one interface. */
export interface LinkNews {
  readonly name: string
  readonly state: LinkState
}

const NETLINK_ROUTE = 0
const GROUP_LINK = 1
const NEW_LINK = 16
const DELETE_LINK = 17
const GET_LINK = 18
const FIXED_BYTES = 16
const ATTRIBUTE_NAME = 3
const IS_UP = 0x1
const IS_RUNNING = 0x40
/** Announcements can be lost when many come at once: everything is asked again so often. */
const ASK_EVERY_MS = 5_000

/** Reads a packet of rtnetlink. Never throws; what it does not know is left out. */
export function readLinkNews(packet: Buffer): readonly LinkNews[] {
  return parseMessages(packet).flatMap(({ type, body }) => {
    if ((type !== NEW_LINK && type !== DELETE_LINK) || body.length < FIXED_BYTES) return []
    const name = parseAttributes(body.subarray(FIXED_BYTES)).get(ATTRIBUTE_NAME)
    if (name === undefined) return []
    const flags = body.readUInt32LE(8)
    const isUp = (flags & IS_UP) !== 0 && (flags & IS_RUNNING) !== 0
    const state = type === DELETE_LINK ? 'missing' : isUp ? 'up' : 'down'
    return [{ name: name.toString('latin1').replace(/\0.*$/s, ''), state }]
  })
}

/** Tells the state of every interface, and each change from then on. */
export class LinkWatch {
  readonly #clock: Clock
  readonly #socket = new NativeSocket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE)
  #timer: Timer | undefined

  constructor(clock: Clock, onNews: (news: LinkNews) => void) {
    this.#clock = clock
    const address = Buffer.alloc(12)
    address.writeUInt16LE(AF_NETLINK, 0)
    address.writeUInt32LE(GROUP_LINK, 8)
    this.#socket.bind(address)
    this.#socket.follow(message => {
      for (const news of readLinkNews(message)) onNews(news)
    })
    this.#ask()
  }

  stop(): void {
    this.#timer?.cancel()
    this.#socket.close()
  }

  #ask(): void {
    const flags = NLM_F_REQUEST | NLM_F_DUMP
    try {
      this.#socket.send(printMessage({ type: GET_LINK, flags, body: Buffer.alloc(FIXED_BYTES) }, 1))
    } catch {
      // Out of buffers, for example: changes are announced all the same, and it is asked again.
    }
    this.#timer = this.#clock.setTimer(ASK_EVERY_MS, () => this.#ask())
  }
}
