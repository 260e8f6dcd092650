// Runs inside the client's namespace: asks every 20 ms by ARP who has the address and writes down who answers, and connects every
// 20 ms through the address. One JSON line for each thing seen; times are wall-clock milliseconds.

import { get } from 'node:http'
import { arpClaim, arpRequest } from '../../src/vip/frames.ts'
import { NativeSocket } from '../../src/vip/native-socket.ts'
import { Rtnetlink } from '../../src/vip/rtnetlink.ts'

const [interfaceName = '', own = '', address = '', port = ''] = process.argv.slice(2)
const EVERY_MS = 20
const ANSWER_MS = 250

const link = new Rtnetlink().link(interfaceName)
if (link?.mac === undefined) throw new Error(`no interface ${interfaceName}`)
const socket = new NativeSocket(17, 3, 0)
const bound = Buffer.alloc(20)
bound.writeUInt16LE(17, 0)
bound.writeUInt16BE(0x0806, 2)
bound.writeInt32LE(link.index, 4)
socket.bind(bound)

const say = (what: Readonly<Record<string, unknown>>) => process.stdout.write(`${JSON.stringify(what)}\n`)
const now = () => performance.timeOrigin + performance.now()

socket.follow(frame => {
  const claim = arpClaim(frame)
  if (claim?.address !== address) return
  const isAnswer = frame.subarray(0, 6).equals(link.mac ?? Buffer.alloc(0))
  say({ kind: isAnswer ? 'answer' : 'announcement', atMs: now(), mac: claim.mac })
})

setInterval(() => {
  try {
    socket.send(arpRequest(link.mac ?? Buffer.alloc(6), own, address))
  } catch {
    // Our own cable is pulled.
  }
}, EVERY_MS)

function connectOnce(): void {
  const startedMs = now()
  const request = get(
    { host: address, port: Number(port), path: '/status', agent: false, timeout: ANSWER_MS },
    answer => {
      let text = ''
      answer.on('data', (chunk: Buffer) => {
        text += chunk.toString('utf8')
      })
      answer.on('error', () => {})
      answer.on('end', () => {
        const name = /"proxy":\s*\{"name":"([^"]+)"/.exec(text)?.[1] ?? 'unknown'
        say({ kind: 'served', startedMs, atMs: now(), name })
      })
    },
  )
  request.on('timeout', () => request.destroy(new Error('timeout')))
  request.on('error', error => say({ kind: 'failed', startedMs, atMs: now(), why: error.message }))
  request.on('close', () => setTimeout(connectOnce, EVERY_MS))
}
connectOnce()
say({ kind: 'ready', atMs: now() })
