// What happened in a world, counted by name, so that a run can say what it has tried.

export class Counts {
  readonly counts = new Map<string, number>()
  readonly rules = new Map<string, number>()
  readonly outcomes = new Map<string, number>()
  readonly maxima = new Map<string, number>()

  add(name: string, by = 1): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + by)
  }

  get(name: string): number {
    return this.counts.get(name) ?? 0
  }

  rule(rule: string): void {
    this.rules.set(rule, (this.rules.get(rule) ?? 0) + 1)
  }

  /** An event that an agent recorded; those of rules count as their rule too. */
  event(kind: string, rule: string | undefined): void {
    if (rule === undefined) this.add(`event ${kind}`)
    else this.rule(rule)
  }

  /** How an action ended that a rule had ordered. */
  outcome(rule: string, action: string, outcome: string): void {
    const key = `${rule} ${action} ${outcome}`
    this.outcomes.set(key, (this.outcomes.get(key) ?? 0) + 1)
  }

  /** Keeps the largest value. */
  max(name: string, value: number): void {
    this.maxima.set(name, Math.max(this.maxima.get(name) ?? Number.NEGATIVE_INFINITY, value))
  }

  toJson(): CountsJson {
    const entries = (map: ReadonlyMap<string, number>) => Object.fromEntries([...map].sort())
    return {
      counts: entries(this.counts),
      rules: entries(this.rules),
      outcomes: entries(this.outcomes),
      maxima: entries(this.maxima),
    }
  }

  /** Adds what another world, perhaps of another process, has counted. */
  merge(other: CountsJson): void {
    for (const [name, count] of Object.entries(other.counts)) this.add(name, count)
    for (const [name, count] of Object.entries(other.rules))
      this.rules.set(name, (this.rules.get(name) ?? 0) + count)
    for (const [name, count] of Object.entries(other.outcomes)) {
      this.outcomes.set(name, (this.outcomes.get(name) ?? 0) + count)
    }
    for (const [name, value] of Object.entries(other.maxima)) this.max(name, value)
  }
}

export interface CountsJson {
  readonly counts: Readonly<Record<string, number>>
  readonly rules: Readonly<Record<string, number>>
  readonly outcomes: Readonly<Record<string, number>>
  readonly maxima: Readonly<Record<string, number>>
}
