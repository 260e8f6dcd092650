// One gRPC client for one address, with every policy of the etcd3 package switched off: no retries, no circuit
// breaker, no choice of hosts. Those decisions are ours (calls.ts), because only we know which request may be repeated.

import { Etcd3, type IOptions } from 'etcd3'
import type { EndpointAddress, EtcdOptions } from './options.ts'

/** Options of a single gRPC call, as the package types them. */
export type CallOptions = NonNullable<Parameters<Etcd3['kv']['range']>[1]>

type Policy = NonNullable<NonNullable<IOptions['faultHandling']>['global']>

/** Runs the work once and passes its result on: what the package's retry and breaker policies become. */
const onceOnly = {
  execute: async <T>(work: (context: { signal: AbortSignal }) => PromiseLike<T> | T) =>
    work({ signal: new AbortController().signal }),
} as unknown as Policy

/** etcd refuses pings that come faster than every 5 s, so stay a little above it. */
const KEEPALIVE_MS = 5_100
const KEEPALIVE_TIMEOUT_MS = 1_500
const RECONNECT_MS = 100
const RECONNECT_MAX_MS = 500
const MESSAGE_BYTES_MAX = 64 * 1024 * 1024
const AUTHENTICATE_MS = 2_000

/** Opens a client for one resolved address. It connects at the first call. */
export function openClient(endpoint: EndpointAddress, address: string, options: EtcdOptions): Etcd3 {
  const { tls, auth } = options
  const target = address.includes(':') ? `[${address}]:${endpoint.port}` : `${address}:${endpoint.port}`
  return new Etcd3({
    hosts: `${endpoint.secure || tls !== undefined ? 'https' : 'http'}://${target}`,
    faultHandling: { host: () => onceOnly, global: onceOnly },
    grpcOptions: {
      'grpc.enable_retries': 0,
      'grpc.keepalive_time_ms': KEEPALIVE_MS,
      'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
      'grpc.initial_reconnect_backoff_ms': RECONNECT_MS,
      'grpc.min_reconnect_backoff_ms': RECONNECT_MS,
      'grpc.max_reconnect_backoff_ms': RECONNECT_MAX_MS,
      'grpc.max_receive_message_length': MESSAGE_BYTES_MAX,
      // The certificate names the host, while we connect to its cached address.
      ...(address === endpoint.host ? {} : { 'grpc.ssl_target_name_override': endpoint.host }),
    },
    ...(tls === undefined ? {} : { credentials: credentialsOf(tls) }),
    ...(auth === undefined
      ? {}
      : { auth: { ...auth, callOptions: () => ({ deadline: Date.now() + AUTHENTICATE_MS }) } }),
  })
}

function credentialsOf(tls: NonNullable<EtcdOptions['tls']>): NonNullable<IOptions['credentials']> {
  return {
    rootCertificate: tls.ca,
    ...(tls.cert === undefined ? {} : { certChain: tls.cert }),
    ...(tls.key === undefined ? {} : { privateKey: tls.key }),
  }
}

type Interceptor = NonNullable<CallOptions['interceptors']>[number]
type Call = ReturnType<Interceptor>
type Listener = Parameters<Call['start']>[1]
type Status = Parameters<NonNullable<NonNullable<Listener>['onReceiveStatus']>>[0]

const CANCELLED = 1
const FAILED_PRECONDITION = 9
/** Codes after which the package closes every channel of the host, other calls' and streams' included. */
const RESETTING_CODES = new Set([1, 2, 4, 8, 10, 13, 14])

/**
 * Options for one call that ends when `signal` aborts. The mark `hasleader` makes a member without a raft leader
 * refuse at once instead of sitting on the request. gRPC's own deadlines are not used: they follow the wall clock.
 */
export function callOptions(signal: AbortSignal): CallOptions {
  return { interceptors: [(options, nextCall) => guarded(nextCall(options) as Call, signal)] }
}

function guarded(call: Call, signal: AbortSignal): Call {
  const start = call.start.bind(call)
  call.start = (metadata, listener) => {
    metadata.set('hasleader', 'true')
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
  if (!RESETTING_CODES.has(status.code)) return status
  return { ...status, code: FAILED_PRECONDITION, details: `gRPC ${status.code}: ${status.details}` }
}
