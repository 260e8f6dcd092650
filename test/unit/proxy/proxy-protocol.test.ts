import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { printProxyHeader, readProxyHeader } from '../../../src/proxy/proxy-protocol.ts'
import { splits } from './bytes.ts'

const v4 = { source: '192.0.2.7', target: '10.0.0.1', sourcePort: 40_001, targetPort: 5000 }
const v6 = {
  source: '2001:db8:0:0:0:0:0:7',
  target: '2001:db8:0:0:0:0:0:1',
  sourcePort: 1,
  targetPort: 65_535,
}

for (const version of ['v1', 'v2'] as const) {
  for (const [name, endpoints] of [
    ['IPv4', v4],
    ['IPv6', v6],
  ] as const) {
    test(`a ${version} header of ${name} is read back, wherever it is split`, () => {
      const bytes = printProxyHeader(version, endpoints)
      for (const [head] of splits(bytes)) {
        const read = readProxyHeader(head)
        if (head.length < bytes.length) assert.equal(read, undefined, `${head.length} bytes`)
        else assert.deepEqual(read, { kind: 'header', bytes: bytes.length, endpoints })
      }
    })
  }
  test(`a ${version} header that speaks for nobody leaves the connection's own address`, () => {
    const bytes = printProxyHeader(version, undefined)
    assert.deepEqual(readProxyHeader(bytes), { kind: 'header', bytes: bytes.length, endpoints: undefined })
  })
}

test('what stands behind the header is not touched', () => {
  const bytes = Buffer.concat([printProxyHeader('v1', v4), Buffer.from('PROXY again')])
  assert.equal(
    readProxyHeader(bytes)?.kind === 'header' && bytes.subarray(bytes.indexOf('\r\n') + 2).toString(),
    'PROXY again',
  )
})

test('a mapped IPv4 address goes out as IPv4, and two families together as IPv6', () => {
  const mapped = printProxyHeader('v1', { ...v4, source: '::ffff:192.0.2.7' }).toString()
  assert.equal(mapped, 'PROXY TCP4 192.0.2.7 10.0.0.1 40001 5000\r\n')
  const mixed = printProxyHeader('v1', { ...v4, target: '2001:db8::1' }).toString()
  assert.match(mixed, /^PROXY TCP6 0:0:0:0:0:ffff:c000:207 2001:db8:0:0:0:0:0:1 /)
})

const wrongs: readonly string[] = [
  'GET / HTTP/1.0\r\n',
  'PROXY TCP4 999.0.0.1 10.0.0.1 1 2\r\n',
  'PROXY TCP4 ::1 ::2 1 2\r\n',
  'PROXY TCP4 10.0.0.1 10.0.0.2 1 70000\r\n',
  `PROXY ${'x'.repeat(200)}`,
]
for (const text of wrongs) {
  test(`${JSON.stringify(text.slice(0, 40))} is no header`, () => {
    assert.equal(readProxyHeader(Buffer.from(text, 'latin1'))?.kind, 'wrong')
  })
}

test('any bytes are read without an error', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (bytes, isSigned) => {
      const signature = isSigned ? '\r\n\r\n\0\r\nQUIT\n' : ''
      const read = readProxyHeader(Buffer.concat([Buffer.from(signature, 'latin1'), bytes]))
      assert.ok(read === undefined || read.kind === 'wrong' || read.bytes <= bytes.length + signature.length)
    }),
  )
})
