// A broken promise. The run stops at the first one; its seed and its trace are the report.

export class Violation extends Error {
  /** Which check found it, in kebab case. */
  readonly check: string

  constructor(check: string, says: string) {
    super(`${check}: ${says}`)
    this.name = 'Violation'
    this.check = check
  }
}
