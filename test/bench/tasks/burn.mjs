/** Work for a core: `rounds` steps of a generator (Park and Miller's constants do not matter here), no memory. */
export function burn({ rounds }) {
  let state = 1
  for (let round = 0; round < rounds; round++) state = (Math.imul(state, 48_271) + 11) | 0
  return state
}
