// A name server on loopback that knows SRV records and nothing else (RFC 1035 section 4, RFC 2782), because DNS of the
// machine cannot be asked for names of a test.

import { createSocket, type Socket } from 'node:dgram'

export interface SrvRecord {
  readonly target: string
  readonly port: number
  readonly priority?: number
}

const TYPE_SRV = 33
const CLASS_IN = 1
const HEADER_BYTES = 12
const ANSWER_FOUND = 0x8180
const ANSWER_NO_SUCH_NAME = 0x8183

export class DnsServer {
  readonly #socket: Socket
  readonly #records: ReadonlyMap<string, readonly SrvRecord[]>

  private constructor(socket: Socket, records: ReadonlyMap<string, readonly SrvRecord[]>) {
    this.#socket = socket
    this.#records = records
    socket.on('message', (question, from) => {
      const answer = this.#answer(question)
      if (answer !== undefined) socket.send(answer, from.port, from.address)
    })
  }

  /** `records` by full name, as `_etcd-client._tcp.example.test`. */
  static async start(records: Readonly<Record<string, readonly SrvRecord[]>>): Promise<DnsServer> {
    const socket = createSocket('udp4')
    await new Promise<void>(resolve => socket.bind(0, '127.0.0.1', resolve))
    return new DnsServer(socket, new Map(Object.entries(records)))
  }

  get address(): string {
    return `127.0.0.1:${this.#socket.address().port}`
  }

  close(): Promise<void> {
    return new Promise(resolve => this.#socket.close(() => resolve()))
  }

  #answer(question: Buffer): Buffer | undefined {
    const labels: string[] = []
    let at = HEADER_BYTES
    for (let length = question[at]; length !== undefined && length > 0; length = question[at]) {
      labels.push(question.toString('latin1', at + 1, at + 1 + length))
      at += length + 1
    }
    if (question.length < at + 5) return undefined
    const asked = question.subarray(HEADER_BYTES, at + 5)
    const found = this.#records.get(labels.join('.').toLowerCase()) ?? []
    const head = Buffer.alloc(HEADER_BYTES)
    question.copy(head, 0, 0, 2)
    head.writeUInt16BE(found.length > 0 ? ANSWER_FOUND : ANSWER_NO_SUCH_NAME, 2)
    head.writeUInt16BE(1, 4)
    head.writeUInt16BE(found.length, 6)
    return Buffer.concat([head, asked, ...found.map(printRecord)])
  }
}

/** The record's name is a pointer to the question. */
function printRecord({ target, port, priority = 0 }: SrvRecord): Buffer {
  const labels = target.split('.').map(label => Buffer.from(`${String.fromCharCode(label.length)}${label}`))
  const name = Buffer.concat([...labels, Buffer.from([0])])
  const record = Buffer.alloc(18)
  record.writeUInt16BE(0xc000 | HEADER_BYTES, 0)
  record.writeUInt16BE(TYPE_SRV, 2)
  record.writeUInt16BE(CLASS_IN, 4)
  record.writeUInt32BE(1, 6)
  record.writeUInt16BE(6 + name.length, 10)
  record.writeUInt16BE(priority, 12)
  record.writeUInt16BE(port, 16)
  return Buffer.concat([record, name])
}
