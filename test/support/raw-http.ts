// HTTP by hand, as HAProxy speaks it: the bytes of an answer are what a test is about.

import { connect } from 'node:net'

export interface RawAnswer {
  readonly code: number
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>
  readonly body: string
  readonly text: string
}

/** One request by HTTP/1.0 without a body. Rejects when the answer has not ended within five seconds. */
export async function rawAnswer(
  host: string,
  port: number,
  method: string,
  target: string,
): Promise<RawAnswer> {
  return parseAnswer(await rawExchange(host, port, `${method} ${target} HTTP/1.0\r\n\r\n`))
}

/** Sends bytes and collects what comes back until the other side closes; rejects when that takes longer than `withinMs`. */
export function rawExchange(host: string, port: number, bytes: string, withinMs = 5_000): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    const socket = connect(port, host, () => socket.write(bytes))
    socket.setTimeout(withinMs, () => socket.destroy(new Error(`no end of the answer within ${withinMs} ms`)))
    socket.on('data', chunk => chunks.push(chunk))
    socket.on('error', reject)
    socket.on('close', () => resolve(Buffer.concat(chunks).toString('utf8')))
  })
}

function parseAnswer(text: string): RawAnswer {
  const end = text.indexOf('\r\n\r\n')
  const [status = '', ...lines] = text.slice(0, end).split('\r\n')
  const headers = new Map(
    lines.map(line => {
      const colon = line.indexOf(':')
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
    }),
  )
  return { code: Number(status.split(' ')[1]), headers, body: text.slice(end + 4), text }
}
