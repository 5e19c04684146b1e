/** Random (expression, zone, instant) triples, half of the instants near a change of a clock. */

export const zoneNames = [
  'UTC',
  'America/New_York',
  'Europe/London',
  'Europe/Berlin',
  'Australia/Lord_Howe',
  'America/Havana',
  'Pacific/Apia',
  'Asia/Kathmandu',
  'Africa/Casablanca',
  'America/St_Johns',
  'America/Santiago',
  'Asia/Tokyo',
] as const

export const firstInstant = Date.UTC(2016, 0, 1)
export const lastInstant = Date.UTC(2026, 0, 1)

type Random = () => number
const upTo = (random: Random, count: number): number => Math.floor(random() * count)
const pick = <T>(random: Random, values: readonly T[]): T => values[upTo(random, values.length)] as T

/** One value, a list, a range, a stepped range. */
function someOf(random: Random, least: number, most: number): string {
  const value = (): number => least + upTo(random, most - least + 1)
  const [low, high] = [value(), value()].sort((a, b) => a - b) as [number, number]
  switch (upTo(random, 5)) {
    case 0:
      return `${low}-${high}`
    case 1:
      return `${low}-${high}/${1 + upTo(random, 6)}`
    case 2:
      return [value(), value(), value()].join(',')
    default:
      return String(value())
  }
}

function starOr(random: Random, chance: number, least: number, most: number): string {
  if (random() < chance) return '*'
  return random() < 0.3 ? `*/${2 + upTo(random, Math.min(11, most - 1))}` : someOf(random, least, most)
}

/** @param isDense comes several times a week, so that a walk by minutes finds it */
export function randomExpression(random: Random, isDense: boolean): string {
  const second = random() < 0.15 && !isDense ? [starOr(random, 0.3, 0, 59)] : []
  const minute = starOr(random, 0.2, 0, 59)
  const hour = random() < 0.5 ? someOf(random, 0, 4) : starOr(random, 0.3, 0, 23)
  const days = isDense
    ? ['*', '*', pick(random, ['*', '*', '1-5', '0,6'])]
    : [
        pick(random, [
          starOr(random, 0.6, 1, 31),
          starOr(random, 0.6, 1, 31),
          'L',
          'LW',
          '15W',
          '1W',
          '31W',
          'L,10',
        ]),
        starOr(random, 0.7, 1, 12),
        pick(random, [
          starOr(random, 0.6, 0, 6),
          starOr(random, 0.6, 0, 6),
          '5L',
          '1#1',
          '3#5',
          '0#2,6',
          'MON-FRI',
          '7',
        ]),
      ]
  return [...second, minute, hour, ...days].join(' ')
}
