import assert from 'node:assert/strict'
import test from 'node:test'
import { EtcdFault, type FaultKind, faultOf, haErrorOf } from '../../../../src/dcs/etcd/faults.ts'
import { inPlainWords } from '../../../../src/dcs/etcd/grpc-call.ts'
import { outcomeOf } from '../../../../src/dcs/etcd/lease.ts'
import { DeadlineError } from '../../../../src/platform/deadline.ts'

const rows: readonly (readonly [string, FaultKind, string])[] = [
  [
    '9 FAILED_PRECONDITION: gRPC 14: No connection established. Last error: connect ECONNREFUSED',
    'not-sent',
    'unreachable',
  ],
  ['9 FAILED_PRECONDITION: gRPC 14: Channel closed before call started', 'not-sent', 'unreachable'],
  ['9 FAILED_PRECONDITION: gRPC 14: etcdserver: no leader', 'not-sent', 'unreachable'],
  ['9 FAILED_PRECONDITION: gRPC 8: etcdserver: too many requests', 'not-sent', 'unreachable'],
  ['getaddrinfo ENOTFOUND etcd1', 'not-sent', 'unreachable'],
  ['9 FAILED_PRECONDITION: gRPC 14: Connection dropped', 'unanswered', 'unknown'],
  ['9 FAILED_PRECONDITION: gRPC 14: read ECONNRESET', 'unanswered', 'unknown'],
  ['9 FAILED_PRECONDITION: gRPC 14: etcdserver: request timed out', 'unanswered', 'unknown'],
  ['9 FAILED_PRECONDITION: gRPC 14: etcdserver: leader changed', 'unanswered', 'unknown'],
  ['9 FAILED_PRECONDITION: gRPC 1: given up', 'unanswered', 'unknown'],
  ['9 FAILED_PRECONDITION: gRPC 2: etcdserver: not primary lessor', 'unanswered', 'unknown'],
  ['9 FAILED_PRECONDITION: gRPC 8: Received message larger than max', 'unanswered', 'unknown'],
  ['9 FAILED_PRECONDITION: gRPC 8: etcdserver: mvcc: database space exceeded', 'unanswered', 'unknown'],
  ['3 INVALID_ARGUMENT: etcdserver: duplicate key given in txn request', 'rejected', 'unreachable'],
  ['3 INVALID_ARGUMENT: etcdserver: request is too large', 'rejected', 'unreachable'],
  ['5 NOT_FOUND: etcdserver: requested lease not found', 'lease-gone', 'lost'],
  [
    '3 INVALID_ARGUMENT: etcdserver: authentication failed, invalid user ID or password',
    'auth',
    'unreachable',
  ],
  ['3 INVALID_ARGUMENT: etcdserver: user name is empty', 'auth', 'unreachable'],
  ['16 UNAUTHENTICATED: etcdserver: invalid auth token', 'not-sent', 'unreachable'],
  ['9 FAILED_PRECONDITION: gRPC 16: etcdserver: auth token is not valid', 'not-sent', 'unreachable'],
  ['3 INVALID_ARGUMENT: etcdserver: revision of auth store is old', 'not-sent', 'unreachable'],
  ['HTTP 401: etcdserver: invalid auth token', 'not-sent', 'unreachable'],
  ['HTTP 503: etcdserver: no leader', 'not-sent', 'unreachable'],
  ['ECONNREFUSED connect ECONNREFUSED 127.0.0.1:2379', 'not-sent', 'unreachable'],
  ['UND_ERR_SOCKET other side closed', 'unanswered', 'unknown'],
  ['No connection established: EHOSTUNREACH connect EHOSTUNREACH 10.0.0.4:2379', 'not-sent', 'unreachable'],
  ['EHOSTUNREACH read EHOSTUNREACH', 'unanswered', 'unknown'],
  [
    '9 FAILED_PRECONDITION: gRPC 13: Received RST_STREAM with code 2 triggered by internal client error: read ENETUNREACH',
    'unanswered',
    'unknown',
  ],
  [
    'ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC 40:error:1C800064:SSL routines:ssl3_read_bytes:decryption failed or bad record mac',
    'unanswered',
    'unknown',
  ],
  [
    'EPROTO write EPROTO 40:error:0A000126:SSL routines:ssl3_read_n:unexpected eof while reading',
    'unanswered',
    'unknown',
  ],
  [
    'EPROTO 40:error:0A000410:SSL routines:ssl3_read_bytes:sslv3 alert handshake failure:SSL alert number 40',
    'not-sent',
    'unreachable',
  ],
  [
    'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED 40:error:0A00045C:SSL routines:ssl3_read_bytes:tlsv13 alert certificate required',
    'not-sent',
    'unreachable',
  ],
  ['7 PERMISSION_DENIED: etcdserver: permission denied', 'auth', 'unreachable'],
  ['something nobody has seen yet', 'unanswered', 'unknown'],
]
for (const [text, kind, outcome] of rows) {
  test(`"${text}" is ${kind}; a write that met it is ${outcome}`, () => {
    const fault = faultOf(new Error(text), 'm1')
    assert.equal(fault.kind, kind)
    assert.equal(outcomeOf(fault), outcome)
  })
}

// What gRPC says of a connection that was never made, and what a person reads. It must stay known as not sent.
for (const [details, plain] of [
  [
    'No connection established. Last error: Error: connect ECONNREFUSED 10.0.0.4:2379. Resolution note: ',
    'connection refused (ECONNREFUSED)',
  ],
  [
    'No connection established. Last error: connect EHOSTUNREACH 10.0.0.4:2379 - Local (10.0.0.1:0)',
    'no route to this host (EHOSTUNREACH)',
  ],
  [
    'No connection established. Last error: Error: connect ENETUNREACH 10.0.0.4:2379',
    'no route to its network (ENETUNREACH)',
  ],
] as const) {
  test(`"${details}" reads "${plain}", and was not sent`, () => {
    const fault = faultOf(new Error(`9 FAILED_PRECONDITION: gRPC 14: ${inPlainWords(details)}`), 'm1')
    assert.deepEqual([fault.kind, fault.detail], ['not-sent', plain])
  })
}

test('a text of gRPC that we have no words for stays as it is', () => {
  for (const details of [
    'No connection established. Last error: Error: connect ETIMEDOUT',
    'Connection dropped',
  ])
    assert.equal(inPlainWords(details), details)
})

test('a deadline leaves the outcome open', () => {
  assert.equal(faultOf(new DeadlineError('write'), 'm1').kind, 'unanswered')
})

test('the error for people names each member, what it said and what to do', () => {
  const error = haErrorOf('read the cluster', [
    faultOf(
      new Error('9 FAILED_PRECONDITION: gRPC 14: No connection established. Resolution note: x'),
      '10.0.0.4:2379',
    ),
    new EtcdFault('unanswered', '10.0.0.5:2379', 'read did not finish before its deadline'),
  ])
  assert.equal(
    error.message,
    'etcd: read the cluster failed: 10.0.0.4:2379: No connection established; ' +
      '10.0.0.5:2379: read did not finish before its deadline; check that a majority of the etcd members is up',
  )
  assert.deepEqual([error.code, error.retryable], ['E_DCS_TIMEOUT', true])
})

const codes: readonly (readonly [readonly FaultKind[], string, boolean])[] = [
  [[], 'E_DCS_TIMEOUT', true],
  [['not-sent', 'not-sent'], 'E_DCS_UNREACHABLE', true],
  [['not-sent', 'unanswered'], 'E_DCS_TIMEOUT', true],
  [['unanswered', 'stale'], 'E_DCS_STALE', true],
  [['auth', 'unanswered'], 'E_DCS_AUTH', false],
  [['rejected'], 'E_DCS_REJECTED', false],
]
for (const [kinds, code, retryable] of codes) {
  test(`faults [${kinds}] end as ${code}`, () => {
    const error = haErrorOf(
      'read',
      kinds.map(kind => new EtcdFault(kind, 'm1', 'x')),
    )
    assert.deepEqual([error.code, error.retryable], [code, retryable])
  })
}
