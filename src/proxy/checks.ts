// Runs the checks of a file: one prober for each server of each section that has a check.

import type { CheckSpec } from '../config/proxy/check-types.ts'
import type { ListenerConfig, ServerOptions } from '../config/proxy/types.ts'
import { type CheckRule, isExpected } from '../health/check-verdict.ts'
import { isTurning } from '../health/counter.ts'
import type { ProbeResult } from '../health/document.ts'
import type { PemFiles } from '../health/pem-files.ts'
import type { Probe } from '../health/probe.ts'
import { Prober } from '../health/prober.ts'
import { printRequest, RawCheck } from '../health/raw-check.ts'
import type { MemberHealth } from '../health/verdict.ts'
import type { Clock } from '../platform/clock.ts'
import { Deadline } from '../platform/deadline.ts'
import { ping } from '../postgres/ping.ts'
import { printProxyHeader } from './proxy-protocol.ts'

export interface ChecksOptions {
  readonly clock: Clock
  readonly listeners: readonly ListenerConfig[]
  readonly pem: PemFiles
  onResult(listener: string, server: string, result: ProbeResult, rule: CheckRule): void
  healthOf(listener: string, server: string): MemberHealth | undefined
}

/** How the results of a check are counted. */
export function ruleOf(spec: CheckSpec, isForLeader: boolean): CheckRule {
  const { question, rise, fall, intervalMs, timeoutMs } = spec
  const codes = question.kind === 'http' ? question.expects : undefined
  const drains = question.kind === 'http' && question.drainsOn404
  return {
    rise,
    fall,
    intervalMs,
    timeoutMs,
    accepts: code => codes === undefined || isExpected(code, codes),
    drains: code => drains && code === 404,
    ...(isForLeader ? { roleWhenGood: 'primary' } : {}),
  }
}

export class Checks {
  readonly #options: ChecksOptions
  readonly #probers: { readonly server: string; readonly prober: Prober }[] = []

  constructor(options: ChecksOptions) {
    this.#options = options
  }

  start(): void {
    for (const listener of this.#options.listeners) {
      for (const server of listener.servers) this.#start(listener, server)
    }
  }

  /** Asks this server within `delayMs`, in each section that has it. */
  kick(server: string, delayMs: number): void {
    for (const one of this.#probers) if (one.server === server) one.prober.kick(delayMs)
  }

  async close(): Promise<void> {
    await Promise.all(this.#probers.map(({ prober }) => prober.stop()))
  }

  #start(listener: ListenerConfig, server: ServerOptions): void {
    const { clock, pem, onResult, healthOf } = this.#options
    const { check } = server
    if (check === undefined) return
    const rule = ruleOf(check, listener.pool === 'leader')
    const health = () => healthOf(listener.name, server.name)
    const prober = new Prober(clock, createCheck(clock, check, pem), check, {
      onResult: result => onResult(listener.name, server.name, result, rule),
      isHurried: () => {
        const now = health()
        return now !== undefined && isTurning(now.counter)
      },
      isDown: () => health()?.counter.isUp === false,
    })
    this.#probers.push({ server: server.name, prober })
    prober.start()
  }
}

/** The check that a specification asks for. */
export function createCheck(clock: Clock, spec: CheckSpec, pem: PemFiles): Probe {
  const { question, target, tls, sendProxy, connectTimeoutMs } = spec
  if (question.kind === 'postgres') return new PingCheck(clock, target, question.user)
  return new RawCheck({
    clock,
    ...target,
    request: question.kind === 'http' ? printRequest(question) : undefined,
    preface: sendProxy ? printProxyHeader('v1', undefined) : undefined,
    connectTimeoutMs,
    tls: tls === undefined ? undefined : () => ({ ...tls, ...pem.contentsOf(tls) }),
  })
}

/** A start-up packet: good when the server takes connections, which a server that is starting up does not. */
class PingCheck implements Probe {
  readonly #clock: Clock
  readonly #door: { readonly host: string; readonly port: number }
  readonly #user: string

  constructor(clock: Clock, door: { readonly host: string; readonly port: number }, user: string) {
    this.#clock = clock
    this.#door = door
    this.#user = user
  }

  async ask(timeoutMs: number): Promise<ProbeResult> {
    const sentAtMs = this.#clock.monotonicMs()
    const answer = await ping(this.#door, this.#user, Deadline.in(this.#clock, timeoutMs))
    if (answer !== 'accepting') return { kind: 'silent', sentAtMs, why: `its server is ${answer}` }
    const times = { sentAtMs, receivedAtMs: this.#clock.monotonicMs() }
    return {
      kind: 'answer',
      answer: {
        ...times,
        statusCode: 200,
        role: 'unknown',
        state: 'running',
        timeline: undefined,
        systemId: undefined,
        tags: {},
        leaseLeftMs: undefined,
        location: undefined,
        replayed: undefined,
        replicationState: undefined,
        isSync: false,
      },
    }
  }

  async close(): Promise<void> {}
}
