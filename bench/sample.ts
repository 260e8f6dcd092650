// One measurement, of whatever kind.

export interface Sample {
  readonly workload: string
  readonly path: string
  readonly round: number
  /** In the workload's unit. */
  readonly value: number
  readonly p50Us: number
  readonly p95Us: number
  readonly p99Us: number
  /** CPU seconds of the router's process for as many operations as the workload says; NaN where that means nothing. */
  readonly routerCpu: number
  /** The same of the whole machine, client, server and the kernel's interrupts included. */
  readonly machineCpu: number
}

/** What a run of a workload found. */
export interface Measured {
  readonly value: number
  /** By how many operations CPU time is divided; NaN: CPU time means nothing here. */
  readonly operations: number
  readonly latenciesUs: readonly number[]
}
