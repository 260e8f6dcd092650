// A virtual IP that something outside moves: it is named and shown, and nothing is done.

import type { VipDriver, VipStatus } from './driver.ts'

export class NoneDriver implements VipDriver {
  readonly name: string
  readonly #status: VipStatus

  constructor(status: VipStatus) {
    this.name = status.name
    this.#status = status
  }

  start(): Promise<void> {
    return Promise.resolve()
  }

  wish(): void {
    // Nobody is told.
  }

  status(): VipStatus {
    return this.#status
  }

  dropNow(): void {
    // Not ours.
  }

  stop(): Promise<void> {
    return Promise.resolve()
  }
}
