// Rise and fall: how many equal results in a row turn a member up or down. Pure.

/** How many good results make a member up, how many bad ones make it down. Both are 1 or more. */
export interface CounterLimits {
  readonly rise: number
  readonly fall: number
}

/** A member starts down: nothing is routed before the first good result. */
export interface CounterState {
  readonly isUp: boolean
  /** Results in a row that speak against the present state. */
  readonly against: number
}

export const initialCounter: CounterState = { isUp: false, against: 0 }

/** A member that was never heard: the first good result is enough, so that a start does not wait `rise` intervals. */
export function freshCounter(limits: CounterLimits): CounterState {
  return { isUp: false, against: limits.rise - 1 }
}

/** The next state after one result. A result that agrees with the present state forgets all that spoke against it. */
export function step(state: CounterState, isGood: boolean, limits: CounterLimits): CounterState {
  if (isGood === state.isUp) return state.against === 0 ? state : { ...state, against: 0 }
  const against = state.against + 1
  const needed = isGood ? limits.rise : limits.fall
  return against >= needed ? { isUp: isGood, against: 0 } : { ...state, against }
}

/** Is a change on its way? Then the next probe is worth hurrying. */
export function isTurning(state: CounterState): boolean {
  return state.against > 0
}
