/**
 * Wall-clock arithmetic. A wall time is what a clock on the wall shows, counted in ms as if it stood in UTC; it knows
 * nothing of zones. Pure.
 */
import type { Fields, SpecialDay } from './fields.js'

const secondMs = 1_000
const minuteMs = 60 * secondMs
const hourMs = 60 * minuteMs
const dayMs = 24 * hourMs

/** The Gregorian calendar repeats after 400 years, days of the week included: what has not come by then never comes. */
const calendarYears = 400

const everyWeekday = 0b111_1111

/** The first wall time from `from` on (itself included) that matches, or undefined when none ever does. */
export function nextWallTime(fields: Fields, from: number): number | undefined {
  const start = Math.ceil(from / secondMs) * secondMs
  const day = Math.floor(start / dayMs) * dayMs
  const date = new Date(day)
  let year = date.getUTCFullYear()
  let month = date.getUTCMonth()
  let firstOfMonth = Date.UTC(year, month, 1)
  const lastYear = year + calendarYears
  let earliestDay = date.getUTCDate()
  let earliestTime = start - day
  while (year <= lastYear) {
    const length = daysInMonth(year, month)
    if ((fields.months & (1 << (month + 1))) !== 0) {
      const days = matchingDays(fields, firstOfMonth, length)
      for (
        let dayOfMonth = nextBit(days, earliestDay);
        dayOfMonth >= 0;
        dayOfMonth = nextBit(days, dayOfMonth + 1)
      ) {
        const time = nextTimeOfDay(fields, dayOfMonth === earliestDay ? earliestTime : 0)
        if (time >= 0) return firstOfMonth + (dayOfMonth - 1) * dayMs + time
      }
    }
    earliestDay = 1
    earliestTime = 0
    firstOfMonth += length * dayMs
    month++
    if (month === 12) {
      month = 0
      year++
    }
  }
  return undefined
}

/** The first matching ms of a day from `from` on, or −1. */
function nextTimeOfDay(fields: Fields, from: number): number {
  const fromHour = Math.floor(from / hourMs)
  const fromMinute = Math.floor((from % hourMs) / minuteMs)
  const fromSecond = Math.floor((from % minuteMs) / secondMs)
  if ((fields.hours & (1 << fromHour)) !== 0) {
    if (hasSixty(fields.minutesLow, fields.minutesHigh, fromMinute)) {
      const second = nextOfSixty(fields.secondsLow, fields.secondsHigh, fromSecond)
      if (second >= 0) return fromHour * hourMs + fromMinute * minuteMs + second * secondMs
    }
    const minute = nextOfSixty(fields.minutesLow, fields.minutesHigh, fromMinute + 1)
    if (minute >= 0) return fromHour * hourMs + minute * minuteMs + firstSecond(fields)
  }
  const hour = nextBit(fields.hours, fromHour + 1)
  if (hour < 0) return -1
  const minute = nextOfSixty(fields.minutesLow, fields.minutesHigh, 0)
  return hour * hourMs + minute * minuteMs + firstSecond(fields)
}

function firstSecond(fields: Fields): number {
  return nextOfSixty(fields.secondsLow, fields.secondsHigh, 0) * secondMs
}

/** The days of a month that match, as bits 1–31. */
function matchingDays(fields: Fields, firstOfMonth: number, length: number): number {
  const firstWeekday = (((firstOfMonth / dayMs + 4) % 7) + 7) % 7
  const inMonth = bitsUpTo(length)
  let byDate = fields.daysOfMonth
  for (const special of fields.specialDaysOfMonth) byDate |= specialBit(special, length, firstWeekday)
  if (fields.daysOfWeek === everyWeekday && !fields.isEitherDay) return byDate & inMonth
  let byWeekday = 0
  for (let weekday = 0; weekday < 7; weekday++) {
    if ((fields.daysOfWeek & (1 << weekday)) !== 0) byWeekday |= everyWeek(firstOf(weekday, firstWeekday))
  }
  for (const special of fields.specialDaysOfWeek) byWeekday |= specialBit(special, length, firstWeekday)
  return (fields.isEitherDay ? byDate | byWeekday : byDate & byWeekday) & inMonth
}

/** Day of the month of the first such weekday. */
function firstOf(weekday: number, firstWeekday: number): number {
  return 1 + ((weekday - firstWeekday + 7) % 7)
}

function everyWeek(first: number): number {
  return (
    (1 << first) |
    (1 << (first + 7)) |
    (1 << (first + 14)) |
    (1 << (first + 21)) |
    (first + 28 < 32 ? 1 << (first + 28) : 0)
  )
}

/** The day as a bit, or 0 in a month that does not have it. */
function specialBit(special: SpecialDay, length: number, firstWeekday: number): number {
  const day = specialDay(special, length, firstWeekday)
  return day >= 1 && day <= length ? 1 << day : 0
}

function specialDay(special: SpecialDay, length: number, firstWeekday: number): number {
  switch (special.kind) {
    case 'from-end':
      return length - special.back
    case 'nearest-weekday':
      return special.day > length ? 0 : nearestWeekday(special.day, length, firstWeekday)
    case 'last-weekday':
      return nearestWeekday(length, length, firstWeekday)
    case 'last-of': {
      const first = firstOf(special.weekday, firstWeekday)
      return first + 7 * Math.floor((length - first) / 7)
    }
    case 'nth-of':
      return firstOf(special.weekday, firstWeekday) + 7 * (special.nth - 1)
  }
}

/** Saturday goes back a day and Sunday on a day, but never out of the month. */
function nearestWeekday(day: number, length: number, firstWeekday: number): number {
  const weekday = (firstWeekday + day - 1) % 7
  if (weekday === 6) return day === 1 ? 3 : day - 1
  if (weekday === 0) return day === length ? day - 2 : day + 1
  return day
}

const monthLengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] as const
const february = 1

function daysInMonth(year: number, month: number): number {
  const isLeapYear = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
  return month === february && isLeapYear ? 29 : (monthLengths[month] ?? 31)
}

function bitsUpTo(most: number): number {
  return most === 31 ? ~1 : (1 << (most + 1)) - 2
}

/** The lowest bit of a mask from `from` on, or −1. */
function nextBit(mask: number, from: number): number {
  if (from > 31) return -1
  const left = (mask >>> from) << from
  return left === 0 ? -1 : 31 - Math.clz32(left & -left)
}

function hasSixty(low: number, high: number, value: number): boolean {
  return value < 30 ? (low & (1 << value)) !== 0 : (high & (1 << (value - 30))) !== 0
}

/** The lowest of a set of 0–59 from `from` on, or −1. */
function nextOfSixty(low: number, high: number, from: number): number {
  if (from < 30) {
    const bit = nextBit(low, from)
    if (bit >= 0) return bit
  }
  const bit = nextBit(high, Math.max(0, from - 30))
  return bit < 0 ? -1 : bit + 30
}
