// The level of the member key's and the REST answers' contract, as other members and tools parse it.

/** Members read it: below 2.1.0 they would look for `optime/leader`, below 4.0.0 slots are handled in another way. */
export const COMPATIBILITY_VERSION = '4.1.4'
