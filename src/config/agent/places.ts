// Where a setting came from: file and line, or the environment variable. For messages only.

/** A setting's origin. `variable` is set when an environment variable gave it. */
export interface Place {
  readonly file: string
  readonly line: number | undefined
  readonly variable: string | undefined
}

const SEPARATOR = '\u0000'

/** Remembers the place of every key path; an unknown path has the place of its nearest known parent. */
export class Places {
  readonly #places = new Map<string, Place>()

  set(path: readonly string[], place: Place): void {
    this.#places.set(path.join(SEPARATOR), place)
  }

  /** The place of `path`, of its nearest parent, or undefined when nothing at all is known. */
  find(path: readonly string[]): Place | undefined {
    for (let length = path.length; length >= 0; length--) {
      const place = this.#places.get(path.slice(0, length).join(SEPARATOR))
      if (place !== undefined) return place
    }
    return undefined
  }

  /** Takes over all places of `other`: what was known before under the same path is replaced. */
  add(other: Places): void {
    for (const [path, place] of other.#places) this.#places.set(path, place)
  }
}

/** `/etc/patroni.yml:12`, or `environment variable PATRONI_NAME`. */
export function printPlace(place: Place): string {
  if (place.variable !== undefined) return `environment variable ${place.variable}`
  return place.line === undefined ? place.file : `${place.file}:${place.line}`
}
