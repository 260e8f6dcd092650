// One gRPC call's options: how it is cancelled, what it carries, and how its failures are kept from the etcd3 package, which
// would close every channel of the member for some, and ask for ever for others.

import type { Etcd3 } from 'etcd3'
import type { CallContext } from './rpc.ts'

/** Options of a single gRPC call, as the package types them. */
export type CallOptions = NonNullable<Parameters<Etcd3['kv']['range']>[1]>

type Interceptor = NonNullable<CallOptions['interceptors']>[number]
type Call = ReturnType<Interceptor>
type Listener = Parameters<Call['start']>[1]
type Status = Parameters<NonNullable<NonNullable<Listener>['onReceiveStatus']>>[0]

const CANCELLED = 1
const FAILED_PRECONDITION = 9
const UNAUTHENTICATED = 16
/** Codes after which the package closes every channel of the host, other calls' and streams' included. */
const RESETTING_CODES = new Set([1, 2, 4, 8, 10, 13, 14])

/**
 * Options for one call that ends when its signal aborts. The mark `hasleader` makes a member without a raft leader
 * refuse at once instead of sitting on the request. gRPC's own deadlines are not used: they follow the wall clock.
 */
export function callOptions({ signal, token }: CallContext): CallOptions {
  return { interceptors: [(options, nextCall) => guarded(nextCall(options) as Call, signal, token)] }
}

function guarded(call: Call, signal: AbortSignal, token: string | undefined): Call {
  const start = call.start.bind(call)
  call.start = (metadata, listener) => {
    metadata.set('hasleader', 'true')
    if (token !== undefined) metadata.set('token', token)
    start(metadata, disguised(listener))
    if (signal.aborted) call.cancelWithStatus(CANCELLED, 'given up')
  }
  signal.addEventListener('abort', () => call.cancelWithStatus(CANCELLED, 'given up'), { once: true })
  return call
}

/**
 * One call that is given up must not end the watch beside it, so such statuses travel under a code that the package
 * leaves alone, with the true one in the text.
 */
function disguised(listener: Listener): Listener {
  const { onReceiveMetadata, onReceiveMessage, onReceiveStatus } = listener ?? {}
  return {
    ...(onReceiveMetadata === undefined ? {} : { onReceiveMetadata: value => onReceiveMetadata(value) }),
    ...(onReceiveMessage === undefined ? {} : { onReceiveMessage: value => onReceiveMessage(value) }),
    ...(onReceiveStatus === undefined ? {} : { onReceiveStatus: value => onReceiveStatus(disguise(value)) }),
  }
}

function disguise(status: Status): Status {
  // By this text the package knows that it must authenticate anew, and repeats the call without end; tokens are ours.
  const details = inPlainWords(status.details).replace('invalid auth token', 'auth token is not valid')
  const isResetting = RESETTING_CODES.has(status.code) || status.code === UNAUTHENTICATED
  if (!isResetting) return { ...status, details }
  return { ...status, code: FAILED_PRECONDITION, details: `gRPC ${status.code}: ${details}` }
}

/** What a person reads in place of the transport's text; the code stays, for it tells whether the call was sent. */
const PLAIN: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  EHOSTUNREACH: 'no route to this host',
  ENETUNREACH: 'no route to its network',
}

/** "No connection established. Last error: Error: connect ECONNREFUSED 10.0.0.1:2379. ..." in a few words. */
export function inPlainWords(details: string): string {
  const code = /^No connection established\. Last error: .*?\bconnect (E[A-Z]+)\b/.exec(details)?.[1] ?? ''
  const plain = PLAIN[code]
  return plain === undefined ? details : `${plain} (${code})`
}
